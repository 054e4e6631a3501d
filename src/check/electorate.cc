#include "check/electorate.h"

#include <bit>

#include "quorum/quorum.h"

namespace quorate::check {

namespace {

NodeSet outgoing(const Membership& membership) {
  NodeSet set = 0;
  for (const NodeId id : membership.outgoing) set |= set_of(id);
  return set;
}

bool is_majority(NodeSet voters, NodeSet nodes) {
  return static_cast<std::size_t>(std::popcount(voters & nodes)) >=
         quorum::majority(static_cast<std::size_t>(std::popcount(voters)));
}

}  // namespace

NodeSet voters(const Membership& membership) {
  NodeSet set = 0;
  for (const Member& member : membership.members) {
    if (member.role == Role::voter) set |= set_of(member.id);
  }
  return set;
}

bool is_quorum(const Membership& membership, NodeSet nodes) {
  return is_majority(voters(membership), nodes) &&
         (membership.outgoing.empty() || is_majority(outgoing(membership), nodes));
}

std::optional<Candidacy> candidacy(const LogCopies& copies, NodeId candidate) {
  const LogCopy* copy = copies.find(candidate);
  const auto own = copy == nullptr ? std::nullopt : copy->durable_part();
  if (!own || copies.abstains(candidate) || !own->membership->votes(candidate)) return std::nullopt;
  Candidacy found{set_of(candidate), own->membership};
  const NodeSet all = voters(*own->membership) | outgoing(*own->membership);
  for (NodeId id(1); id < copies.end(); id = NodeId(id.value + 1)) {
    if ((all & set_of(id)) == 0 || id == candidate || copies.abstains(id)) continue;
    const LogCopy* other = copies.find(id);
    const auto log = other == nullptr ? std::nullopt : other->durable_part();
    if (log && std::pair(log->last_epoch, log->last) <= std::pair(own->last_epoch, own->last))
      found.votes |= set_of(id);
  }
  return found;
}

bool could_lead(const LogCopies& copies, NodeId candidate) {
  const auto found = candidacy(copies, candidate);
  return found && is_quorum(*found->membership, found->votes);
}

}  // namespace quorate::check
