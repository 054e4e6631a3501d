// Any two quorums that may decide at the same time share a server (Raft thesis §4.1), judged when a leader
// puts a configuration into its log: no node that could be elected under another configuration could be so by
// a quorum that leaves the new one a quorum of its own. For a leader that has an entry of its own epoch
// committed that holds: who could be elected has that entry, hence the leader's configurations up to there.
#pragma once

#include <optional>
#include <string>

#include "check/electorate.h"

namespace quorate::check {

// A set of `votes` that elects under `other` while the rest of `able` holds a quorum of `next`, if there is
// one.
[[nodiscard]] inline std::optional<NodeSet> disjoint_quorums(const Candidacy& other, const Membership& next,
                                                             NodeSet able) {
  for (NodeSet set = other.votes; set != 0; set = (set - 1) & other.votes) {
    if (is_quorum(*other.membership, set) && is_quorum(next, able & ~set)) return set;
  }
  return std::nullopt;
}

// Those that would still acknowledge what a leader of this epoch sends: a deposed one may put into its log
// what it likes.
[[nodiscard]] inline NodeSet followers(const LogCopies& copies, Epoch epoch) {
  NodeSet set = 0;
  for (NodeId id(1); id < copies.end(); id = NodeId(id.value + 1)) {
    const LogCopy* copy = copies.find(id);
    if (copy != nullptr && copy->epoch() <= epoch) set |= set_of(id);
  }
  return set;
}

// `leader`, of this epoch, made `next` its configuration, and no other node has yet.
[[nodiscard]] inline std::optional<std::string> quorums_overlap(const LogCopies& copies, NodeId leader,
                                                                Epoch epoch, const Membership& next) {
  const NodeSet able = followers(copies, epoch);
  for (NodeId id(1); id < copies.end(); id = NodeId(id.value + 1)) {
    const auto rival = id == leader ? std::nullopt : candidacy(copies, id);
    if (!rival || !is_quorum(*rival->membership, rival->votes)) continue;
    if (!disjoint_quorums(*rival, next, able)) continue;
    return "node " + to_string(leader) + " leads on with a configuration, and node " + to_string(id) +
           " could be elected by a quorum of its own that has no server in common with one of that";
  }
  return std::nullopt;
}

}  // namespace quorate::check
