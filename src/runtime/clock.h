// The node's monotonic clock, where protocols get their Instants from.
#pragma once

#include <chrono>

#include "core/time.h"

namespace quorate::runtime {

inline Instant now() {
  return Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

inline std::chrono::steady_clock::time_point to_steady(Instant at) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(at.time_since_epoch()));
}

}  // namespace quorate::runtime
