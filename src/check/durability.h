// What was acknowledged stays: a write whose client was told "done" is among the committed commands, at the
// moment it is told and in every later state. And what was refused ("nothing happened") never gets in.
// Commands are named by numbers their clients chose. Reading the committed sequence is enough for "every
// later state", since State Machine Safety fixes it once and for all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "core/ids.h"

namespace quorate::check {

class Durability {
 public:
  // The command is committed at `index`. A command may be committed again: the first time counts.
  [[nodiscard]] std::optional<std::string> committed(std::uint64_t command, Index index) {
    commands_.try_emplace(command, Place{index, commands_.size() + 1});
    if (refused_.empty() || !refused_.contains(command)) return std::nullopt;
    return name(command) + " was refused but is committed at index " + to_string(index);
  }

  [[nodiscard]] std::optional<std::string> acknowledged(std::uint64_t command) {
    const auto at = commands_.find(command);
    if (at == commands_.end()) return name(command) + " was acknowledged but is not committed";
    if (at->second.index > last_acknowledged_) last_acknowledged_ = at->second.index;
    return std::nullopt;
  }

  // Its client was told that it did not happen and will not.
  [[nodiscard]] std::optional<std::string> refused(std::uint64_t command) {
    refused_.insert(command);
    if (!commands_.contains(command)) return std::nullopt;
    return name(command) + " was refused but is committed";
  }

  // Asked of each node once the cluster has healed: a state applied up to `applied` must hold them all.
  [[nodiscard]] std::optional<std::string> final_state(NodeId node, Index applied) const {
    if (applied >= last_acknowledged_) return std::nullopt;
    return "node " + to_string(node) + " ends at index " + to_string(applied) + ", before index " +
           to_string(last_acknowledged_) + ", which was acknowledged";
  }

  struct Place {
    Index index;             // none: it was never committed
    std::uint64_t rank = 0;  // among all commands, in the order they were first committed
  };
  [[nodiscard]] Place place_of(std::uint64_t command) const {
    const auto at = commands_.find(command);
    return at == commands_.end() ? Place() : at->second;
  }

 private:
  static std::string name(std::uint64_t command) { return "command " + std::to_string(command); }

  std::unordered_map<std::uint64_t, Place> commands_;
  std::unordered_set<std::uint64_t> refused_;
  Index last_acknowledged_;
};

}  // namespace quorate::check
