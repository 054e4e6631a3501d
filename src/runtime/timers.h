// The timers of all keyspaces of a node. Protocols move timers at every message, so moving one must be cheap:
// it only writes the new time; the queue's entry is corrected when its old time comes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "core/ids.h"
#include "core/time.h"

namespace quorate::runtime {

class Timers {
 public:
  using Key = std::pair<KeyspaceId, TimerId>;

  void set(Key key, Instant at) {
    auto& timer = timers_[key];
    timer.at = at;
    // An entry that comes up too early is put back; only one that would come too late must be added.
    if (!timer.queued || at < *timer.queued) {
      timer.queued = at;
      queue_.emplace(at, key);
    }
  }
  void cancel(Key key) { timers_.erase(key); }

  // No later than the next timer; it may be earlier.
  [[nodiscard]] std::optional<Instant> next() const {
    if (queue_.empty()) return std::nullopt;
    return queue_.top().first;
  }

  // One timer that is due, removed; in the order of their times.
  [[nodiscard]] std::optional<Key> take_due(Instant now) {
    while (!queue_.empty() && queue_.top().first <= now) {
      const auto [when, key] = queue_.top();
      queue_.pop();
      const auto found = timers_.find(key);
      if (found == timers_.end() || found->second.queued != when) continue;  // cancelled, or superseded
      if (found->second.at > when) {                                         // moved later meanwhile
        found->second.queued = found->second.at;
        queue_.emplace(found->second.at, key);
        continue;
      }
      timers_.erase(found);
      return key;
    }
    return std::nullopt;
  }

 private:
  struct Timer {
    Instant at;
    std::optional<Instant> queued;  // the entry of the queue that counts
  };
  using Entry = std::pair<Instant, Key>;

  std::map<Key, Timer> timers_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
};

}  // namespace quorate::runtime
