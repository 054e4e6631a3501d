// How often each two kinds of faults were in effect at the same time, over many seeds.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/coverage.h"

namespace quorate::sim {

class CoverageReport {
 public:
  explicit CoverageReport(FaultSet allowed) : allowed_(allowed) {}

  void add(const Overlaps& run);
  // Seeds in which both were in effect at once; for a kind and itself, in which it was in effect at all.
  [[nodiscard]] std::uint64_t seeds(FaultKind a, FaultKind b) const {
    return pairs_.at(static_cast<std::size_t>(a)).at(static_cast<std::size_t>(b));
  }
  // Seeds in which it was in effect at once with any other.
  [[nodiscard]] std::uint64_t met(FaultKind kind) const { return met_.at(static_cast<std::size_t>(kind)); }
  [[nodiscard]] std::string text() const;     // lines
  [[nodiscard]] std::string at_once() const;  // in how many runs three or more kinds were, one line
  [[nodiscard]] std::string json() const;     // one line

 private:
  struct Pair {
    std::uint64_t seeds;
    FaultKind a;
    FaultKind b;
  };
  [[nodiscard]] std::vector<Pair> by_seeds() const;  // the rarest first

  FaultSet allowed_;
  std::array<std::array<std::uint64_t, fault_kinds>, fault_kinds> pairs_{};
  std::array<std::uint64_t, fault_kinds> met_{};
  std::uint64_t runs_ = 0;
  std::uint64_t runs_of_three_ = 0;  // with three kinds or more at once
  std::uint32_t at_once_ = 0;
};

}  // namespace quorate::sim
