#include "models/etcd/watch_hub.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace quorate::models::etcd {

namespace {

RangeEnd end_of(const KeyRange& range) {
  return {.unbounded = range.kind == KeyRange::Kind::unbounded, .key = range.end};
}

bool wanted(const WatchSpec& spec, bool deleted) { return deleted ? !spec.no_delete : !spec.no_put; }

// Whether they are told the same of a revision.
bool same(const WatchSpec& a, const WatchSpec& b) {
  return a.key == b.key && a.range_end == b.range_end && a.prev_kv == b.prev_kv && a.no_put == b.no_put &&
         a.no_delete == b.no_delete;
}

bool creates(bool deleted, std::string_view tail) {
  if (deleted) return false;
  const Record record = decode_tail(tail);
  return record.create == record.mod;
}

}  // namespace

// One change of a commit, encoded at most once with and once without the previous record.
class Hub::Encoder {
 public:
  Encoder(const Hub& hub, const Change& change) : hub_(hub), change_(change) {}
  [[nodiscard]] const Change& change() const { return change_; }
  const Bytes& get(bool with_previous) {
    auto& bytes = with_previous ? with_previous_ : plain_;
    if (bytes.empty()) bytes = Bytes::adopt(encode_event(view(), with_previous ? previous() : std::nullopt));
    return bytes;
  }

 private:
  [[nodiscard]] EventView view() const {
    return {.chain = 0,
            .superseded = {},
            .deleted = change_.deleted,
            .key = change_.key,
            .tail = change_.tail,
            .payload = change_.tail};
  }
  [[nodiscard]] std::optional<std::string> previous() const {
    if (creates(change_.deleted, change_.tail)) return std::nullopt;
    return change_.prev ? change_.prev : hub_.looked_up(change_);
  }

  const Hub& hub_;
  const Change& change_;
  Bytes plain_;
  Bytes with_previous_;
};

// For a change whose predecessor is of the same revision, which only nested transactions bring about.
std::optional<std::string> Hub::looked_up(const Change& change) const {
  if (change.revision - 1 < compacted_) return std::nullopt;
  return read_version(*engine_, change.key, change.revision - 1);
}

WatchId Hub::add(WatchSpec spec, std::move_only_function<void()> ready) {
  if (spec.key.empty()) spec.key.assign(1, '\0');  // as etcd has it: the first key there can be
  const WatchId id = ++last_id_;
  Watcher& watcher = watchers_[id];
  watcher.id = id;
  watcher.range = KeyRange::of(spec.key, spec.range_end);
  watcher.next = spec.start_revision > 0 ? spec.start_revision : revision_ + 1;
  watcher.lagging = watcher.next <= std::max(revision_, handed_);  // what was handed out it has not got
  watcher.spec = std::move(spec);
  watcher.ready = std::move(ready);
  if (!watcher.lagging) index(watcher);
  return id;
}

void Hub::remove(WatchId id) {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return;
  unindex(it->second);
  watchers_.erase(it);
}

void Hub::index(Watcher& watcher) {
  if (std::exchange(watcher.indexed, true)) return;
  if (watcher.range.kind == KeyRange::Kind::point) {
    by_key_[watcher.range.begin].push_back(&watcher);
  } else {
    by_range_.insert(watcher.range.begin, end_of(watcher.range), &watcher);
  }
}

void Hub::unindex(Watcher& watcher) {
  if (!std::exchange(watcher.indexed, false)) return;
  if (watcher.range.kind == KeyRange::Kind::point) {
    const auto place = by_key_.find(watcher.range.begin);
    std::erase(place->second, &watcher);
    if (place->second.empty()) by_key_.erase(place);
  } else {
    by_range_.erase(watcher.range.begin, end_of(watcher.range), &watcher);
  }
}

bool Hub::synced(WatchId id) const {
  const auto it = watchers_.find(id);
  return it != watchers_.end() && level(it->second) && it->second.next <= revision_ + 1;
}

void Hub::open(const storage::Reader& engine, std::int64_t revision, std::int64_t compacted) {
  const std::int64_t before = revision_;
  engine_ = &engine;
  revision_ = revision;
  compacted_ = compacted;
  handed_ = 0;
  touched_.clear();
  std::vector<WatchId> ids;
  for (auto& [id, watcher] : watchers_) {
    // What happened between the two states was not handed out: it is in the history.
    if (!watcher.lagging) {
      const bool queued = watcher.head != watcher.queue.size();
      fall_behind(watcher,
                  queued ? watcher.queue[watcher.head].revision : std::max(watcher.next, before + 1));
    }
    watcher.lagging = watcher.next <= revision_;
    watcher.large = false;
    watcher.reading.reset();
    watcher.lagging ? unindex(watcher) : index(watcher);
    if (watcher.lagging) ids.push_back(id);
  }
  notify(ids);
}

void Hub::commit(const std::vector<Change>& changes, bool complete, std::int64_t revision,
                 std::int64_t compacted) {
  const std::int64_t before = std::exchange(revision_, revision);
  compacted_ = compacted;
  const bool in_parts = std::exchange(handed_, 0) != 0;
  if (complete && !watchers_.empty()) {
    for (const auto& change : changes) hand_out(change);
  }
  auto ids = std::exchange(touched_, {});
  if (complete && !in_parts) return notify(ids);
  ids.clear();
  for (auto& [id, watcher] : watchers_) {
    // They were all added after the first of the changes, and expect everything since then.
    if (!complete && watcher.next <= revision_ && !watcher.lagging) {
      fall_behind(watcher, std::max(watcher.next, before + 1));
      unindex(watcher);
    }
    if (!level(watcher)) ids.push_back(id);
  }
  notify(ids);
}

std::size_t Hub::hand_out(std::span<const Change> changes, std::size_t most) {
  std::size_t queued = 0;
  std::size_t handed = 0;
  for (; handed < changes.size() && queued < most; ++handed) {
    handed_ = changes[handed].revision;
    queued += hand_out(changes[handed]);
  }
  return handed;
}

std::size_t Hub::hand_out(const Change& change) {
  Encoder encoder(*this, change);
  std::size_t queued = 0;
  const auto hand_to = [&](Watcher* watcher) {
    if (change.revision < watcher->next || !wanted(watcher->spec, change.deleted)) return;
    ++queued;
    if (watcher->head == watcher->queue.size()) touched_.push_back(watcher->id);
    enqueue(*watcher, encoder);
  };
  if (const auto it = by_key_.find(change.key); it != by_key_.end())
    std::ranges::for_each(it->second, hand_to);
  by_range_.for_each_containing(change.key, hand_to);
  for (Watcher* watcher : std::exchange(fallen_, {})) unindex(*watcher);
  return queued;
}

void Hub::enqueue(Watcher& watcher, Encoder& encoder) {
  const Bytes& event = encoder.get(watcher.spec.prev_kv);
  watcher.queued_bytes += event.size();
  watcher.queue.push_back({encoder.change().revision, event});
  if (watcher.queue.size() - watcher.head > max_queued_events || watcher.queued_bytes > max_queued_bytes)
    fall_behind(watcher, watcher.queue[watcher.head].revision);
  if (watcher.lagging) fallen_.push_back(&watcher);  // not now: the indexes are being walked
}

void Hub::fall_behind(Watcher& watcher, std::int64_t next) {
  watcher.lagging = true;
  watcher.next = next;
  watcher.large = false;
  watcher.queue = {};
  watcher.head = watcher.queued_bytes = 0;
}

// A callback may add, remove and poll, itself too: it is kept alive while it runs.
void Hub::notify(std::vector<WatchId>& ids) {
  for (const WatchId id : ids) {
    auto it = watchers_.find(id);
    if (it == watchers_.end() || !it->second.armed) continue;
    it->second.armed = false;
    auto ready = std::move(it->second.ready);
    if (ready) ready();
    it = watchers_.find(id);
    if (it != watchers_.end()) it->second.ready = std::move(ready);
  }
}

WatchBatch Hub::poll(WatchId id, std::size_t max_bytes) {
  const auto it = watchers_.find(id);
  WatchBatch batch;
  batch.revision = revision_;
  if (it == watchers_.end()) return batch;
  Watcher& watcher = it->second;
  ++polls_;
  batch = watcher.lagging ? poll_history(watcher, max_bytes) : poll_queue(watcher, max_bytes);
  if (batch.compact_revision != 0) {
    remove(id);
  } else {
    watcher.armed = !batch.more;
  }
  return batch;
}

WatchBatch Hub::poll_queue(Watcher& watcher, std::size_t max_bytes) {
  WatchBatch batch;
  batch.revision = revision_;
  std::size_t bytes = 0;
  auto& head = watcher.head;
  const auto& queue = watcher.queue;
  for (; head < queue.size() && queue[head].revision <= revision_; ++head) {
    const bool begins =
        head == 0 || batch.revisions.empty() || queue[head].revision != batch.revisions.back();
    if (begins && bytes >= max_bytes && !batch.events.empty()) {
      batch.more = true;
      batch.revision = queue[head].revision - 1;
      break;
    }
    bytes += queue[head].event.size();
    batch.revisions.push_back(queue[head].revision);
    batch.events.push_back(std::move(watcher.queue[head].event));
  }
  watcher.queued_bytes -= bytes;
  batch.rows = batch.events.size();
  if (head > queue.size() / 2) {
    watcher.queue.erase(watcher.queue.begin(), watcher.queue.begin() + static_cast<std::ptrdiff_t>(head));
    head = 0;
  }
  return batch;
}

WatchBatch Hub::poll_history(Watcher& watcher, std::size_t max_bytes) {
  WatchBatch batch;
  if (watcher.next < compacted_) {
    batch.compact_revision = compacted_;
    return batch;
  }
  if (watcher.range.kind == KeyRange::Kind::point) {
    read_key_history(watcher, max_bytes, batch);
  } else if (watcher.large) {
    read_large(watcher, batch);
  } else {
    read_range_history(watcher, max_bytes, batch);
  }
  batch.rows = std::max(batch.rows, batch.events.size());
  if (!batch.more) batch.revision = revision_;
  watcher.next = batch.revision + 1;
  watcher.lagging = batch.more || watcher.next <= handed_;
  if (!watcher.lagging) index(watcher);
  return batch;
}

void Hub::read_key_history(Watcher& watcher, std::size_t max_bytes, WatchBatch& batch) {
  std::size_t bytes = 0;
  std::int64_t last = 0;
  std::string row;
  Position from{watcher.next, 0};
  for (auto found = next_versions(*engine_, watcher.range.begin, from); !found.empty();
       found = next_versions(*engine_, watcher.range.begin, from)) {
    for (const Position at : found) {
      if (at.revision > revision_) return;
      const bool enough = (bytes >= max_bytes && !batch.events.empty()) || batch.rows >= max_scanned;
      if (at.revision != last && enough) {
        batch.more = true;
        batch.revision = at.revision - 1;
        return;
      }
      last = at.revision;
      if (!engine_->get(table::history, history_key(at), row)) continue;
      batch.rows += Pace::of_a_row(row.size());
      take(watcher.spec, at, decode_event(row), batch, bytes);
    }
    from = {last, found.back().sub + 1};
  }
}

void Hub::read_range_history(Watcher& watcher, std::size_t max_bytes, WatchBatch& batch) {
  const auto events = engine_->cursor(table::history);
  std::size_t bytes = 0;
  std::int64_t last = 0;
  for (events->seek(history_key({watcher.next, 0})); events->valid(); events->next()) {
    const Position at = history_position(events->key());
    if (at.revision > revision_) break;
    const bool enough = (bytes >= max_bytes && !batch.events.empty()) || batch.rows >= max_scanned;
    if (at.revision != last && enough) {
      batch.more = true;
      batch.revision = at.revision - 1;
      return;
    }
    if (batch.rows >= max_scanned) return stop_before(last, watcher, batch);
    last = at.revision;
    batch.rows += Pace::of_a_row(events->value().size());
    const EventView event = decode_event(events->value());
    if (watcher.range.contains(event.key)) take(watcher.spec, at, event, batch, bytes);
  }
}

// That revision is too large for what is left of this poll, if not for one: it is read by itself.
void Hub::stop_before(std::int64_t revision, Watcher& watcher, WatchBatch& batch) {
  while (!batch.revisions.empty() && batch.revisions.back() == revision) {
    batch.revisions.pop_back();
    batch.events.pop_back();
  }
  batch.more = true;
  batch.revision = revision - 1;
  watcher.large = true;
}

void Hub::read_large(Watcher& watcher, WatchBatch& batch) {
  batch.more = true;
  batch.revision = watcher.next - 1;
  if (watcher.reading == nullptr) watcher.reading = large_of(watcher);
  if (watcher.reading == nullptr) return;  // others are read: it waits
  Large& large = *watcher.reading;
  large.asked_at = polls_;
  if (!large.whole) read_on(large, batch.rows);
  if (!large.whole) return;
  batch.revision = watcher.next;
  if (watcher.reading.use_count() == 1) {
    batch.events = std::move(large.events);
  } else {
    batch.events = large.events;
  }
  batch.revisions.assign(batch.events.size(), watcher.next);
  batch.same = large.id;
  watcher.large = false;
  watcher.reading.reset();
}

void Hub::read_on(Large& large, std::size_t& rows) {
  const auto events = engine_->cursor(table::history);
  WatchBatch part;
  std::size_t bytes = 0;
  for (events->seek(history_key(large.next)); rows < max_scanned; events->next()) {
    const Position at = events->valid() ? history_position(events->key()) : Position{};
    large.whole = at.revision != large.next.revision;
    if (large.whole) break;
    rows += Pace::of_a_row(events->value().size());
    const EventView event = decode_event(events->value());
    if (large.range.contains(event.key)) take(large.spec, at, event, part, bytes);
    large.next.sub = at.sub + 1;
  }
  std::ranges::move(part.events, std::back_inserter(large.events));
}

std::shared_ptr<Hub::Large> Hub::large_of(const Watcher& watcher) {
  std::erase_if(large_, [](const auto& large) { return large.expired(); });
  for (const auto& weak : large_) {
    const auto large = weak.lock();
    if (large->next.revision == watcher.next && same(large->spec, watcher.spec)) return large;
  }
  if (large_.size() >= max_large && !make_room()) return nullptr;
  auto large = std::make_shared<Large>(
      Large{.id = ++last_large_, .spec = watcher.spec, .range = watcher.range, .next = {watcher.next, 0}});
  large_.push_back(large);
  return large;
}

// One that nobody asks for any more, such as that of a client that takes nothing, is given up: whose it is
// begins anew.
bool Hub::make_room() {
  const std::uint64_t patience = 1000 + 4 * watchers_.size();
  const auto idle = std::ranges::find_if(
      large_, [&](const auto& large) { return large.lock()->asked_at + patience < polls_; });
  if (idle == large_.end()) return false;
  const auto given_up = idle->lock();
  for (auto& [id, watcher] : watchers_) {
    if (watcher.reading == given_up) watcher.reading.reset();
  }
  large_.erase(idle);
  return true;
}

void Hub::take(const WatchSpec& spec, Position at, const EventView& event, WatchBatch& batch,
               std::size_t& bytes) {
  if (!wanted(spec, event.deleted)) return;
  const bool with_previous = spec.prev_kv && !creates(event.deleted, event.tail);
  batch.events.push_back(Bytes::adopt(
      encode_event(event, with_previous ? previous(event.superseded, at.revision) : std::nullopt)));
  batch.revisions.push_back(at.revision);
  bytes += batch.events.back().size();
}

// The record before the event's revision; nothing if that is compacted, as etcd has it.
std::optional<std::string> Hub::previous(Position superseded, std::int64_t revision) const {
  if (revision - 1 < compacted_) return std::nullopt;
  std::string row;
  while (superseded.revision != 0 && engine_->get(table::history, history_key(superseded), row)) {
    const EventView before = decode_event(row);
    if (superseded.revision < revision) return std::string(before.tail);
    superseded = before.superseded;  // of the same revision: a change of one that made several to the key
  }
  return std::nullopt;
}

}  // namespace quorate::models::etcd
