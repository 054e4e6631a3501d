// Time in the simulator. A Moment is virtual time since the start of the run, the same for all; each node
// has a clock of its own that starts anywhere and runs a little fast or slow.
#pragma once

#include <cstdint>

#include "core/time.h"

namespace quorate::sim {

using Moment = Duration;

class Clock {
 public:
  Clock() = default;
  Clock(Instant start, std::int64_t ppm) : local_(start), ppm_(ppm) {}

  [[nodiscard]] Instant at(Moment moment) const { return local_ + scaled(moment - since_); }

  // The first moment at which the clock shows `instant` or more, if nothing changes its speed.
  [[nodiscard]] Moment when(Instant instant) const {
    const std::int64_t local = (instant - local_).count();
    if (local <= 0) return since_;
    // Dividing by (1 + ppm/10^6); the loop makes up for the rounding.
    const std::int64_t speed = 1'000'000 + ppm_;
    Moment moment = since_ + Duration(local / speed * 1'000'000 + local % speed * 1'000'000 / speed);
    while (at(moment) < instant) moment += Duration(1);
    return moment;
  }

  void set_speed(Moment now, std::int64_t ppm) {
    local_ = at(now);
    since_ = now;
    ppm_ = ppm;
  }
  void jump(Moment now, Duration by) {
    local_ = at(now) + by;
    since_ = now;
  }

 private:
  [[nodiscard]] Duration scaled(Duration d) const {
    return d + Duration(d.count() / 1000 * ppm_ / 1000 + d.count() % 1000 * ppm_ / 1'000'000);
  }

  Instant local_{};
  Moment since_{};
  std::int64_t ppm_ = 0;
};

}  // namespace quorate::sim
