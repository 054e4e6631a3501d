// Watchers. One that is level with the store is handed the events of each commit: encoded once, shared by all
// who match, queued until it polls. One that started in the past, or whose queue outgrew its bound, reads the
// history in the engine instead, at its own pace, and so costs no memory; having read up to the present it is
// level again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/etcd/etcd_model.h"
#include "models/etcd/interval_index.h"
#include "models/etcd/key_range.h"
#include "models/etcd/store.h"

namespace quorate::models::etcd {

class Hub final : public WatchHub {
 public:
  // Bounds of one watcher's queue. A revision that is larger alone is read from history.
  static constexpr std::size_t max_queued_events = 1024;
  static constexpr std::size_t max_queued_bytes = 1U << 20U;
  // Events of history looked at in one poll, so that one watcher of a rare key does not hold up the others.
  static constexpr std::size_t max_scanned = 10'000;

  WatchId add(WatchSpec spec, std::move_only_function<void()> ready) override;
  void remove(WatchId id) override;
  WatchBatch poll(WatchId id, std::size_t max_bytes) override;
  [[nodiscard]] bool synced(WatchId id) const override;
  [[nodiscard]] std::size_t size() const override { return watchers_.size(); }

  // The engine holds another state, or the first one. Watchers go on from where they are.
  void open(const storage::Reader& engine, std::int64_t revision, std::int64_t compacted);
  // The changes since the last call are in the engine. `complete` is false if not all of them are in
  // `changes`, because nobody watched when some were made.
  void commit(const std::vector<Change>& changes, bool complete, std::int64_t revision,
              std::int64_t compacted);

 private:
  struct Queued {
    std::int64_t revision;
    Bytes event;
  };
  struct Watcher {
    WatchId id;
    WatchSpec spec;
    KeyRange range;
    std::move_only_function<void()> ready;
    std::vector<Queued> queue;  // from `head` on; empty while lagging
    std::size_t head = 0;
    std::size_t queued_bytes = 0;
    std::int64_t next =
        0;  // lagging: the first revision not yet delivered; else: events below are not wanted
    bool lagging = false;
    bool armed = true;  // poll() gave nothing: tell when there is something
  };
  class Encoder;

  [[nodiscard]] bool level(const Watcher& watcher) const {
    return !watcher.lagging && watcher.head == watcher.queue.size();
  }
  void enqueue(Watcher& watcher, Encoder& encoder);
  void fall_behind(Watcher& watcher, std::int64_t next);
  void notify(std::vector<WatchId>& ids);
  WatchBatch poll_queue(Watcher& watcher, std::size_t max_bytes);
  WatchBatch poll_history(Watcher& watcher, std::size_t max_bytes);
  void read_key_history(Watcher& watcher, std::size_t max_bytes, WatchBatch& batch);
  void read_range_history(Watcher& watcher, std::size_t max_bytes, WatchBatch& batch);
  void take(const Watcher& watcher, Position at, const EventView& event, WatchBatch& batch,
            std::size_t& bytes);
  [[nodiscard]] std::optional<std::string> previous(Position superseded, std::int64_t revision) const;
  [[nodiscard]] std::optional<std::string> looked_up(const Change& change) const;

  const storage::Reader* engine_ = nullptr;
  std::int64_t revision_ = 1;
  std::int64_t compacted_ = 0;
  WatchId last_id_ = 0;
  std::map<WatchId, Watcher> watchers_;
  std::unordered_map<std::string, std::vector<Watcher*>> by_key_;  // looked up only, never walked
  IntervalIndex<Watcher*> by_range_;
};

}  // namespace quorate::models::etcd
