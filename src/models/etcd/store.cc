#include "models/etcd/store.h"

#include <algorithm>
#include <utility>

#include <xxhash.h>

#include "core/codec.h"

namespace quorate::models::etcd {

namespace {

constexpr std::string_view state_row = "state";
constexpr std::uint32_t last_sub = 0xffffffffU;

void append_element(std::string& out, std::string_view key, std::string_view tail) {
  out.clear();
  append_payload(out, false, key, tail);
}

}  // namespace

std::uint64_t extend(std::uint64_t chain, std::string_view payload) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(), chain);
}

void SetHash::add(std::string_view element) {
  const XXH128_hash_t hash = XXH3_128bits(element.data(), element.size());
  low += hash.low64;
  high += hash.high64;
}

void SetHash::remove(std::string_view element) {
  const XXH128_hash_t hash = XXH3_128bits(element.data(), element.size());
  low -= hash.low64;
  high -= hash.high64;
}

State load_state(const storage::Reader& reader) {
  std::string row;
  if (!reader.get(table::meta, state_row, row)) return {};
  return codec::decode<State>(Bytes::adopt(std::move(row))).value_or(State{});
}

void save_state(const State& state, storage::Transaction& txn) {
  txn.put(table::meta, state_row, codec::encode(state).str());
}

bool read_current(const storage::Reader& reader, std::string_view key, std::string& row) {
  if (reader.get(table::current, key, row)) return true;
  row.clear();
  return false;
}

void Writer::record(bool deleted, std::string_view key, const Record& after, std::string_view old,
                    const Record& before) {
  const Position at{state_.revision + 1, subs_++};
  std::string& event = scratch_.event;
  event.assign(8, '\0');
  append_superseded(event, old.empty() ? Position{} : Position{before.mod, sub_of(old)});
  const std::size_t payload_at = event.size();
  append_payload_front(event, deleted, key);
  const std::size_t tail_at = event.size();
  append_tail(event, after);
  const std::string_view payload = std::string_view(event).substr(payload_at);
  state_.chain = extend(state_.chain, payload);
  if (!old.empty()) {
    append_element(scratch_.element, key, tail_of(old));
    state_.live.remove(scratch_.element);
  }
  if (!deleted) state_.live.add(payload);
  if (sink_ != nullptr) {
    Change change{at.revision, deleted, std::string(key), event.substr(tail_at), std::nullopt};
    if (!old.empty() && before.mod != at.revision) change.prev.emplace(tail_of(old));
    sink_->push_back(std::move(change));
  }
  append_u32(event, at.sub);
  write_u64(event.data(), state_.chain);
  store(deleted, key, at, tail_at);
  if (!is_landmark(deleted, after.version)) return;
  scratch_.row.clear();
  append_version_key(scratch_.row, key, at);
  txn_.put(table::versions, scratch_.row, Bytes());
}

void Writer::store(bool deleted, std::string_view key, Position at, std::size_t tail_at) {
  const Bytes event = Bytes::copy(scratch_.event);
  state_.bytes += static_cast<std::int64_t>(event_overhead + event.size());
  scratch_.row.clear();
  append_history_key(scratch_.row, at);
  txn_.put(table::history, scratch_.row, event);
  if (deleted) {
    txn_.erase(table::current, key);
  } else {
    txn_.put(table::current, key, event.slice(tail_at));
  }
}

void Writer::put(std::string_view key, std::string_view value, std::int64_t lease, std::string_view old) {
  const Record before = decode_tail(tail_of(old));
  const std::int64_t revision = state_.revision + 1;
  Record after{.create = before.create,
               .mod = revision,
               .version = before.version + 1,
               .lease = lease,
               .value = value};
  if (old.empty()) {
    after.create = revision;
    ++state_.keys;
  }
  if (before.lease != lease) {
    if (before.lease != 0) txn_.erase(table::attached, attached_key(before.lease, key));
    if (lease != 0) txn_.put(table::attached, attached_key(lease, key), Bytes());
  }
  record(false, key, after, old, before);
}

void Writer::erase(std::string_view key, std::string_view old) {
  const Record before = decode_tail(tail_of(old));
  if (before.lease != 0) txn_.erase(table::attached, attached_key(before.lease, key));
  --state_.keys;
  record(true, key, {.mod = state_.revision + 1}, old, before);
}

void Writer::finish() {
  if (!changed()) return;
  ++state_.revision;
  subs_ = 0;
}

Scan::Scan(const storage::Reader& reader, KeyRange range, std::int64_t revision, Effort* effort)
    : range_(std::move(range)), effort_(effort) {
  if (range_.kind == KeyRange::Kind::bounded && range_.end <= range_.begin) return;
  if (range_.kind == KeyRange::Kind::point) {
    read_point(reader, revision);
  } else if (revision != 0) {
    past_ = std::make_unique<PastScan>(reader, range_, revision);
  } else {
    cursor_ = reader.cursor(table::current);
    cursor_->seek(range_.begin);
  }
}

void Scan::read_point(const storage::Reader& reader, std::int64_t revision) {
  if (revision == 0) {
    point_ = read_current(reader, range_.begin, row_);
    return;
  }
  auto tail = read_version(reader, range_.begin, revision);
  point_ = tail.has_value();
  if (!point_) return;
  row_ = std::move(*tail);
  append_u32(row_, 0);  // of no use in the past
}

bool Scan::valid() const {
  if (effort_ != nullptr && effort_->spent()) return false;
  if (past_) return past_->valid();
  return cursor_ ? cursor_->valid() && !range_.ends_before(cursor_->key()) : point_;
}

void Scan::next() {
  if (effort_ != nullptr) effort_->look_at_row(tail().size());
  if (past_) return past_->next();
  if (cursor_) return cursor_->next();
  point_ = false;
}

std::string_view Scan::key() const {
  if (past_) return past_->key();
  return cursor_ ? cursor_->key() : range_.begin;
}

std::string_view Scan::tail() const { return past_ ? past_->tail() : tail_of(row()); }

// The sweep looks at every event from the last compacted revision on: what was there before has at most one
// version per key left, and goes when the event that superseded it is looked at. Events of the compacted
// revision itself stay (a watch may start there), which is why the next sweep begins with them.
void begin_compaction(State& state, std::int64_t revision) {
  Position from{state.compacted, 0};
  if (state.sweep_to != 0) {
    from = std::min(Position{state.sweep_revision, state.sweep_sub}, Position{state.sweep_to, 0});
  }
  state.compacted = revision;
  state.sweep_to = revision;
  state.sweep_revision = from.revision;
  state.sweep_sub = from.sub;
}

bool Sweep::go_on(Pace& pace) {
  const std::vector<Position> doomed = look(pace);  // collected first: writing invalidates the cursor
  std::string row;
  for (const Position at : doomed) {
    const std::string key = history_key(at);
    if (!txn_.get(table::history, key, row)) continue;
    pace.spend(units_per_erasure * Pace::of_a_row(row.size()));
    state_.bytes -= static_cast<std::int64_t>(event_overhead + row.size());
    const EventView event = decode_event(row);
    if (is_landmark(event.deleted, decode_tail(event.tail).version))
      txn_.erase(table::versions, version_key(version_prefix(event.key), at));
    txn_.erase(table::history, key);
  }
  return state_.sweep_to == 0 || events_ == 0 || bytes_ == 0;
}

std::vector<Position> Sweep::look(Pace& pace) {
  std::vector<Position> doomed;
  if (state_.sweep_to == 0) return doomed;
  const auto events = txn_.cursor(table::history);
  events->seek(history_key({state_.sweep_revision, state_.sweep_sub}));
  for (; events_ > 0 && bytes_ > 0 && !pace.spent() && events->valid(); --events_, events->next()) {
    const Position at = history_position(events->key());
    if (at.revision > state_.sweep_to) break;
    pace.spend(Pace::of_a_row(events->value().size()));
    bytes_ -= std::min(bytes_, events->value().size());
    const EventView event = decode_event(events->value());
    const Position old = event.superseded;
    if (old.revision != 0 && old.revision < state_.sweep_to) doomed.push_back(old);
    if (event.deleted && at.revision < state_.sweep_to) doomed.push_back(at);
  }
  if (events->valid() && history_position(events->key()).revision <= state_.sweep_to) {
    const Position next = history_position(events->key());
    state_.sweep_revision = next.revision;
    state_.sweep_sub = next.sub;
  } else {
    state_.sweep_to = state_.sweep_revision = 0;
    state_.sweep_sub = 0;
  }
  return doomed;
}

std::uint64_t chain_at(const storage::Reader& reader, const State& state, std::int64_t revision) {
  if (revision == state.revision) return state.chain;
  const auto cursor = reader.cursor(table::history);
  cursor->seek_last(history_key({revision, last_sub}));
  return cursor->valid() ? decode_event(cursor->value()).chain : 0;
}

}  // namespace quorate::models::etcd
