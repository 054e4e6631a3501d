// Automatic compaction: the leader asks, from time to time, for history beyond what is to be kept to be
// forgotten.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "core/time.h"

namespace quorate::server {

class CompactionPlan {
 public:
  // Keeps `period` of history, or so many `revisions`; zero for either: no such rule.
  CompactionPlan(Duration period, std::int64_t revisions) : period_(period), revisions_(revisions) {}

  [[nodiscard]] bool wanted() const { return period_.count() > 0 || revisions_ > 0; }
  // How often observe() is to be called.
  [[nodiscard]] Duration interval() const {
    if (revisions_ > 0) return std::chrono::minutes(5);
    return std::max<Duration>(std::min<Duration>(period_ / 10, std::chrono::minutes(5)), 1s);
  }
  // The store is at `revision` now: the revision up to which history may go, if any.
  [[nodiscard]] std::optional<std::int64_t> observe(Instant now, std::int64_t revision) {
    std::int64_t upto = revisions_ > 0 ? revision - revisions_ : 0;
    if (period_.count() > 0) {
      seen_.emplace_back(now, revision);
      while (!seen_.empty() && now - seen_.front().first >= period_) {
        upto = seen_.front().second;
        seen_.pop_front();
      }
    }
    if (upto <= done_) return std::nullopt;
    done_ = upto;
    return upto;
  }

 private:
  Duration period_;
  std::int64_t revisions_;
  std::int64_t done_ = 0;
  std::deque<std::pair<Instant, std::int64_t>> seen_;
};

}  // namespace quorate::server
