// Watchers. One that is level with the store is handed the events of each commit: encoded once, shared by all
// who match, queued until it polls. One that started in the past, or whose queue outgrew its bound, reads the
// history in the engine instead, at its own pace, and so costs no memory; having read up to the present it is
// level again.
//
// One command may change more keys than can be dealt with at a stretch. Its changes are handed out while it
// is under way, and told at its commit. Who falls behind at it is out of the indexes at once, so that the
// rest of it costs nothing. And as a revision is told whole, a large one is read from history in pieces, once
// for all who watch the same.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
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
  // Of history looked at in one poll (Pace), so that one watcher of a rare key does not hold up the others.
  static constexpr std::size_t max_scanned = 10'000;
  // Large revisions that are read at a time, each in memory until all who watch it have it. Others wait.
  static constexpr std::size_t max_large = 4;

  WatchId add(WatchSpec spec, std::move_only_function<void()> ready) override;
  void remove(WatchId id) override;
  WatchBatch poll(WatchId id, std::size_t max_bytes) override;
  [[nodiscard]] bool synced(WatchId id) const override;
  [[nodiscard]] std::size_t size() const override { return watchers_.size(); }

  // The first of the changes of a command that is not through yet, up to about `most` times that one of them
  // is put in a queue: how many of them that are. They are told with its commit, which has the rest.
  std::size_t hand_out(std::span<const Change> changes, std::size_t most);

  // The engine holds another state, or the first one. Watchers go on from where they are.
  void open(const storage::Reader& engine, std::int64_t revision, std::int64_t compacted);
  // The changes since the last call are in the engine. `complete` is false if not all of them are in
  // `changes` or were handed out, because nobody watched when some were made.
  void commit(const std::vector<Change>& changes, bool complete, std::int64_t revision,
              std::int64_t compacted);

 private:
  struct Queued {
    std::int64_t revision;
    Bytes event;
  };
  // A large revision, as those see it who watch the same.
  struct Large {
    std::uint64_t id;
    WatchSpec spec;  // of any of them
    KeyRange range;
    Position next;  // the event that is looked at next
    std::vector<Bytes> events{};
    bool whole = false;
    std::uint64_t asked_at = 0;  // polls_ then
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
    bool indexed = false;            // where hand_out() looks for it: only while it is not lagging
    bool large = false;              // the revision `next` is
    std::shared_ptr<Large> reading;  // that one
    bool armed = true;               // poll() gave nothing: tell when there is something
  };
  class Encoder;

  [[nodiscard]] bool level(const Watcher& watcher) const {
    return !watcher.lagging && watcher.head == watcher.queue.size();
  }
  // How often one of them was put in a queue.
  std::size_t hand_out(const Change& change);
  void enqueue(Watcher& watcher, Encoder& encoder);
  void index(Watcher& watcher);
  void unindex(Watcher& watcher);
  void fall_behind(Watcher& watcher, std::int64_t next);
  void notify(std::vector<WatchId>& ids);
  WatchBatch poll_queue(Watcher& watcher, std::size_t max_bytes);
  WatchBatch poll_history(Watcher& watcher, std::size_t max_bytes);
  void read_key_history(Watcher& watcher, std::size_t max_bytes, WatchBatch& batch);
  void read_range_history(Watcher& watcher, std::size_t max_bytes, WatchBatch& batch);
  static void stop_before(std::int64_t revision, Watcher& watcher, WatchBatch& batch);
  void read_large(Watcher& watcher, WatchBatch& batch);
  void read_on(Large& large, std::size_t& rows);
  std::shared_ptr<Large> large_of(const Watcher& watcher);
  bool make_room();
  void take(const WatchSpec& spec, Position at, const EventView& event, WatchBatch& batch,
            std::size_t& bytes);
  [[nodiscard]] std::optional<std::string> previous(Position superseded, std::int64_t revision) const;
  [[nodiscard]] std::optional<std::string> looked_up(const Change& change) const;

  const storage::Reader* engine_ = nullptr;
  std::int64_t revision_ = 1;
  std::int64_t compacted_ = 0;
  std::int64_t handed_ = 0;  // the last revision of which anything was handed out before its commit; or 0
  std::vector<WatchId> touched_;  // whose queues have something, since the last commit
  std::vector<Watcher*> fallen_;  // behind, at the change at hand
  std::vector<std::weak_ptr<Large>> large_;
  std::uint64_t last_large_ = 0;
  std::uint64_t polls_ = 0;
  WatchId last_id_ = 0;
  std::map<WatchId, Watcher> watchers_;
  std::unordered_map<std::string, std::vector<Watcher*>> by_key_;  // looked up only, never walked
  IntervalIndex<Watcher*> by_range_;
};

}  // namespace quorate::models::etcd
