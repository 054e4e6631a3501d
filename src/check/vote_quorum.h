// A leader was elected by durable votes of a quorum, of each configuration in force while two are (Raft
// §5.2, thesis §4.3); nobody voted for two in one epoch; and nobody voted who lacks entries that may have
// been committed counting its copy.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "check/log_copies.h"
#include "quorum/quorum.h"

namespace quorate::check {

class VoteQuorum {
 public:
  // `node` made this durable, or was found to have.
  [[nodiscard]] std::optional<std::string> durable(NodeId node, Ballot ballot, bool abstains = false) {
    if (ballot.vote.none()) return std::nullopt;
    if (abstains) {
      return "node " + to_string(node) + " votes for node " + to_string(ballot.vote) + " in epoch " +
             to_string(ballot.epoch) + " without the entries that it lost";
    }
    const auto [vote, first] = votes_[ballot.epoch].try_emplace(node, ballot.vote);
    if (vote->second == ballot.vote) return std::nullopt;
    return "node " + to_string(node) + " votes for nodes " + to_string(vote->second) + " and " +
           to_string(ballot.vote) + " in epoch " + to_string(ballot.epoch);
  }

  [[nodiscard]] std::optional<std::string> leads(NodeId node, Epoch epoch, const LogCopy& copy) {
    const auto& votes = votes_[epoch];
    const auto voted = [&](NodeId voter) {
      const auto vote = votes.find(voter);
      return vote != votes.end() && vote->second == node ? 1 : 0;
    };
    if (quorum::tally(copy.membership(), voted) == quorum::Tally::won) return std::nullopt;
    return "node " + to_string(node) + " leads epoch " + to_string(epoch) +
           " without durable votes of a quorum of each configuration it goes by";
  }

 private:
  std::unordered_map<Epoch, std::map<NodeId, NodeId>> votes_;
};

}  // namespace quorate::check
