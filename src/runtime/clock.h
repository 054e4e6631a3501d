// The node's clock, where protocols get their Instants from: never set back, and it goes on while the machine
// is suspended. std::chrono::steady_clock (CLOCK_MONOTONIC) stands still then: a leader that wakes up would
// go on serving reads under a lease that the others saw end long ago.
#pragma once

#include <chrono>
#include <ctime>

#include "core/time.h"

namespace quorate::runtime {

inline Instant now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

// For waiting, which only the other clock can do: after a suspend the rest of the wait is waited.
inline std::chrono::steady_clock::time_point to_steady(Instant at) {
  const Duration left = at - now();  // read first: too late by that little, never too early
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(left);
}

}  // namespace quorate::runtime
