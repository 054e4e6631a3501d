// What processes have used so far, from /proc.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace quorate::client {

struct Usage {
  std::chrono::nanoseconds cpu{};  // user and system, of all threads, also those that have ended
  std::uint64_t peak_rss_bytes = 0;
};

// nullopt: no such process, or not ours to see.
[[nodiscard]] std::optional<Usage> usage_of(int pid);
[[nodiscard]] std::chrono::nanoseconds own_cpu();

}  // namespace quorate::client
