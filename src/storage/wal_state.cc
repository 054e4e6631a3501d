#include "storage/wal_state.h"

#include <algorithm>
#include <utility>

namespace quorate::storage::wal {

void KeyspaceState::put(const PutRecord& record) {
  if (record.value.empty()) {
    records_.erase(record.key);
  } else {
    // A copy: the value may be a slice of a large message, which would live as long as the record.
    records_.insert_or_assign(record.key, Bytes::copy(record.value.view()));
  }
}

bool KeyspaceState::append(Index first, std::uint64_t count, std::uint64_t segment) {
  if (count == 0) return true;
  if (first != last_.next()) return false;
  if (extents_.empty() || extents_.back().segment != segment) extents_.push_back({segment, first});
  last_ = last_ + count;
  return true;
}

void KeyspaceState::truncate(Index from) {
  if (from > last_) return;
  last_ = std::max(Index(from.value == 0 ? 0 : from.value - 1), snapshot_index());
  while (!extents_.empty() && extents_.back().first > last_) extents_.pop_back();
  forget_behind_snapshot();
}

void KeyspaceState::take_snapshot(const SnapshotMeta& meta) {
  if (snapshot_ && meta.index < snapshot_->index) return;
  snapshot_ = meta;
  last_ = std::max(last_, meta.index);
  forget_behind_snapshot();
}

// What is not needed once must not be needed again: its segment may be gone.
void KeyspaceState::forget_behind_snapshot() {
  if (last_ == snapshot_index()) return extents_.clear();
  while (extents_.size() > 1 && extents_[1].first <= snapshot_index().next()) extents_.pop_front();
}

std::optional<std::uint64_t> KeyspaceState::oldest_segment() const {
  if (extents_.empty()) return std::nullopt;
  return extents_.front().segment;
}

KeyspaceState KeyspaceState::restored(std::map<RecordKey, Bytes> records,
                                      std::optional<SnapshotMeta> snapshot, Index last) {
  KeyspaceState state;
  state.records_ = std::move(records);
  state.snapshot_ = std::move(snapshot);
  state.last_ = last;
  return state;
}

bool KeyspaceState::same_as(const KeyspaceState& other) const {
  return records_ == other.records_ && snapshot_ == other.snapshot_ && last_ == other.last_;
}

}  // namespace quorate::storage::wal
