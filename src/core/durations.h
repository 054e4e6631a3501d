// A histogram of durations, for metrics: how many took at most so long. Its bounds double from a tenth of a
// millisecond on, which serves a round trip and a flush to disk alike.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace quorate {

struct Durations {
  static constexpr std::array<double, 17> bounds = [] {  // seconds
    std::array<double, 17> all{};
    double bound = 0.0001;
    for (double& each : all) {
      each = bound;
      bound *= 2;
    }
    return all;
  }();

  std::array<std::uint64_t, bounds.size() + 1> counts{};  // not cumulative; the last is beyond all bounds
  double sum = 0;

  void note(double seconds) {
    ++counts[static_cast<std::size_t>(std::ranges::lower_bound(bounds, seconds) - bounds.begin())];
    sum += seconds;
  }
};

}  // namespace quorate
