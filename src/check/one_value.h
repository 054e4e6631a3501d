// What ballots may carry (Paxos Made Simple §2.2), judged from what acceptors accept, before any two nodes
// execute different values: one ballot carries one value (P2a's proposals are numbered uniquely), and once a
// value is chosen every proposal of a higher ballot carries it (P2b).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "check/fingerprint.h"
#include "core/ids.h"

namespace quorate::check {

class OneValue {
 public:
  using Ballot = std::pair<std::uint64_t, NodeId>;  // ordered as the protocol orders them

  // Some acceptor accepts this proposal in this slot.
  [[nodiscard]] std::optional<std::string> accepted(Index slot, Ballot ballot, Fingerprint value) {
    Slot& state = slots_[slot];
    const auto [known, first] = state.proposals.try_emplace(ballot, value);
    if (known->second != value)
      return "ballot " + text(ballot) + " carries two values in slot " + to_string(slot);
    return first ? judge(slot, state) : std::nullopt;
  }

  // The slot is executed somewhere, with this value.
  [[nodiscard]] std::optional<std::string> chosen(Index slot, Fingerprint value) {
    const auto at = slots_.find(slot);
    if (at == slots_.end()) return std::nullopt;
    for (const auto& [ballot, carried] : at->second.proposals) {
      if (carried == value) at->second.chosen = ballot;  // it was chosen no later than in the last of them
    }
    return judge(slot, at->second);
  }

 private:
  struct Slot {
    std::map<Ballot, Fingerprint> proposals;
    std::optional<Ballot> chosen;
  };
  static std::string text(Ballot ballot) {
    return std::to_string(ballot.first) + "." + to_string(ballot.second);
  }
  static std::optional<std::string> judge(Index slot, const Slot& state) {
    if (!state.chosen) return std::nullopt;
    const auto chosen = state.proposals.find(*state.chosen);
    for (auto later = std::next(chosen); later != state.proposals.end(); ++later) {
      if (later->second == chosen->second) continue;
      return "ballot " + text(later->first) + " carries another value in slot " + to_string(slot) +
             " than was chosen by ballot " + text(chosen->first) + " at the latest";
    }
    return std::nullopt;
  }

  std::unordered_map<Index, Slot> slots_;
};

}  // namespace quorate::check
