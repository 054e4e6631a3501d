// Which faults took effect in a run, and which of them at the same time. In effect is
//   a condition of the network, of clocks, of disks: while it holds;
//   a death: until the process has started again;
//   damage to what a disk holds: from the moment it is done to the end of the fault's time;
//   an operator's request: until it has an outcome;
//   an ambush: from the moment it strikes to the end of the fault's time.
// What was planned and never struck does not count.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/faults.h"

namespace quorate::sim {

struct Overlaps {
  FaultSet struck;                          // kinds that took effect
  std::array<FaultSet, fault_kinds> met{};  // by kind: those in effect at a time at which it was, too
  std::uint32_t at_once = 0;                // the most different kinds at any time
};

class Coverage {
 public:
  // Fault `number` takes effect; again while it is in effect changes nothing.
  void began(std::uint32_t number, FaultKind kind) {
    FaultSet now;
    now.add(kind);
    for (const auto& [other, with] : in_effect_) {
      if (other == number) return;
      now.add(with);
      overlaps_.met[static_cast<std::size_t>(with)].add(kind);
      overlaps_.met[static_cast<std::size_t>(kind)].add(with);
    }
    overlaps_.struck.add(kind);
    overlaps_.at_once = std::max(overlaps_.at_once, static_cast<std::uint32_t>(now.kinds().size()));
    in_effect_.emplace_back(number, kind);
  }
  void ended(std::uint32_t number) {
    std::erase_if(in_effect_, [&](const auto& each) { return each.first == number; });
  }
  [[nodiscard]] bool in_effect(std::uint32_t number) const {
    return std::ranges::find(in_effect_, number, &std::pair<std::uint32_t, FaultKind>::first) !=
           in_effect_.end();
  }
  [[nodiscard]] const Overlaps& overlaps() const { return overlaps_; }

 private:
  std::vector<std::pair<std::uint32_t, FaultKind>> in_effect_;
  Overlaps overlaps_;
};

}  // namespace quorate::sim
