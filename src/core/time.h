// Time as protocols see it: an argument, never read from a clock. An Instant is a point of the node's own
// monotonic clock; two nodes' Instants are not comparable.
#pragma once

#include <chrono>

namespace quorate {

struct NodeClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<NodeClock>;
  static constexpr bool is_steady = true;
};

using Duration = std::chrono::nanoseconds;
using Instant = NodeClock::time_point;

using namespace std::chrono_literals;

}  // namespace quorate
