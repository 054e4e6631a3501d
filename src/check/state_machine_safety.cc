#include "check/state_machine_safety.h"

namespace quorate::check {

std::optional<std::string> StateMachineSafety::committed(NodeId node, Index index, Fingerprint content) {
  auto [next, fresh] = next_.try_emplace(node, index);
  if (index != next->second) {
    return "node " + to_string(node) + " commits index " + to_string(index) + " where " +
           to_string(next->second) + " is next";
  }
  next->second = index.next();
  if (index.value > chosen_.size()) chosen_.resize(index.value);
  auto& chosen = chosen_[index.value - 1];
  if (!chosen) {
    chosen = content;
  } else if (*chosen != content) {
    return "node " + to_string(node) + " commits another entry at index " + to_string(index) +
           " than was committed there before";
  }
  return std::nullopt;
}

}  // namespace quorate::check
