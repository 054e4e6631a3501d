// Draws that are more than uniform, by integers and comparisons alone: a run must be the same with every
// compiler, and the last bits of log() and pow() are not.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/rng.h"
#include "core/time.h"

namespace quorate::sim {

__extension__ using Wide = unsigned __int128;

// Exponentially distributed: von Neumann's comparison of runs (Various Techniques Used in Connection with
// Random Digits, 1951). The first draw of a falling run of odd length is the fraction; every run of even
// length before it adds one.
inline Duration exponential(Rng& rng, Duration mean) {
  const auto scale = static_cast<std::uint64_t>(mean.count());
  for (std::uint64_t whole = 0;; ++whole) {
    const std::uint64_t first = rng.next();
    bool odd = true;
    for (std::uint64_t last = first, next = rng.next(); next < last; last = next, next = rng.next())
      odd = !odd;
    if (!odd) continue;
    const auto fraction = static_cast<std::uint64_t>((static_cast<Wide>(scale) * first) >> 64U);
    return Duration(static_cast<std::int64_t>(whole * scale + fraction));
  }
}

// Spread evenly over orders of magnitude: each doubling from `low` on is as likely as the next.
inline Duration log_uniform(Rng& rng, Duration low, Duration high) {
  std::uint64_t octaves = 1;
  while (low * (std::int64_t{1} << octaves) < high) ++octaves;
  const Duration from = low * (std::int64_t{1} << rng.below(octaves));
  return rng.between(from, std::min(from * 2, high));
}

}  // namespace quorate::sim
