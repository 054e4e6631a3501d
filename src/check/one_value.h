// What ballots may carry (Paxos Made Simple §2.2), judged from what acceptors accept, before any two nodes
// execute different values: one ballot carries one value (P2a's proposals are numbered uniquely); a value is
// executed only if a majority of the slot's acceptors had accepted it durably, under one and the same ballot;
// and from that ballot on every proposal carries it (P2b).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "check/electorate.h"
#include "check/fingerprint.h"
#include "core/ids.h"

namespace quorate::check {

class OneValue {
 public:
  using Ballot = std::pair<std::uint64_t, NodeId>;  // ordered as the protocol orders them

  // Some acceptor accepts this proposal in this slot.
  [[nodiscard]] std::optional<std::string> accepted(Index slot, Ballot ballot, Fingerprint value) {
    Slot& state = slots_[slot];
    const auto [known, first] = state.proposals.try_emplace(ballot, Proposal{value, 0});
    if (known->second.value != value)
      return "ballot " + text(ballot) + " carries two values in slot " + to_string(slot);
    return first ? judge(slot, state) : std::nullopt;
  }
  // It is told that this is durable.
  void durable(Index slot, Ballot ballot, NodeId acceptor) {
    slots_[slot].proposals[ballot].acceptors |= set_of(acceptor);
  }

  // The slot is executed somewhere, with this value (none: one that the log does not tell), and these were
  // its acceptors.
  [[nodiscard]] std::optional<std::string> chosen(Index slot, std::optional<Fingerprint> value,
                                                  const Membership& acceptors) {
    Slot& state = slots_[slot];
    for (const auto& [ballot, proposal] : state.proposals) {
      if (value && *value != proposal.value) continue;
      if (!is_quorum(acceptors, proposal.acceptors)) continue;
      state.chosen = ballot;
      return judge(slot, state);
    }
    return "slot " + to_string(slot) + " is executed with a value that no majority accepted under one ballot";
  }

 private:
  struct Proposal {
    Fingerprint value = 0;
    NodeSet acceptors = 0;
  };
  struct Slot {
    std::map<Ballot, Proposal> proposals;
    std::optional<Ballot> chosen;
  };
  static std::string text(Ballot ballot) {
    return std::to_string(ballot.first) + "." + to_string(ballot.second);
  }
  static std::optional<std::string> judge(Index slot, const Slot& state) {
    if (!state.chosen) return std::nullopt;
    const auto chosen = state.proposals.find(*state.chosen);
    for (auto later = std::next(chosen); later != state.proposals.end(); ++later) {
      if (later->second.value == chosen->second.value) continue;
      return "ballot " + text(later->first) + " carries another value in slot " + to_string(slot) +
             " than was chosen by ballot " + text(chosen->first);
    }
    return std::nullopt;
  }

  std::unordered_map<Index, Slot> slots_;
};

}  // namespace quorate::check
