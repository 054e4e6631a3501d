#include "replica/snapshot_sender.h"

#include "replica/state.h"

namespace quorate::replica {

SnapshotSender::SnapshotSender(std::uint64_t transfer, Epoch epoch, SnapshotMeta meta,
                               std::shared_ptr<const storage::Reader> view, std::size_t chunk_bytes,
                               Instant now)
    : transfer_(transfer),
      epoch_(epoch),
      meta_(std::move(meta)),
      view_(std::move(view)),
      chunk_bytes_(chunk_bytes),
      progressed_at_(now) {}

SnapshotChunk SnapshotSender::next_chunk() {
  SnapshotChunk chunk{transfer_, epoch_, meta_, next_number_++, {}, false};
  std::size_t bytes = 0;
  while (bytes < chunk_bytes_ && table_ < storage::table_count) {
    if (!cursor_) {
      cursor_ = view_->cursor(storage::Table(table_));
      cursor_->seek("");
    }
    if (!cursor_->valid()) {
      cursor_.reset();
      ++table_;
      continue;
    }
    const bool marker = table_ == 0 && cursor_->key() == complete_key;
    if (!marker) {
      chunk.rows.push_back(
          {static_cast<std::uint8_t>(table_), Bytes::copy(cursor_->key()), Bytes::copy(cursor_->value())});
      bytes += cursor_->key().size() + cursor_->value().size() + 8;
    }
    cursor_->next();
  }
  chunk.last = exhausted_ = table_ == storage::table_count;
  return chunk;
}

void SnapshotSender::begin_again() {
  table_ = 0;
  cursor_.reset();
  next_number_ = 0;
  exhausted_ = wanted_ = false;
  unacknowledged_.clear();
}

std::vector<SnapshotChunk> SnapshotSender::fill_window() {
  std::vector<SnapshotChunk> fresh;
  while (!exhausted_ && unacknowledged_.size() < (wanted_ ? window : 1)) {
    unacknowledged_.push_back(next_chunk());
    fresh.push_back(unacknowledged_.back());
  }
  return fresh;
}

void SnapshotSender::acknowledged(std::uint64_t next, Instant now) {
  // Should that have been said of a chunk that overtook the first one, the receiver answers the repeated
  // first chunk with where it is: the view is pinned, so the same chunks come out again.
  if (next == 0 && !unacknowledged_.empty() && unacknowledged_.front().number != 0) begin_again();
  wanted_ = wanted_ || next > 0;
  while (!unacknowledged_.empty() && unacknowledged_.front().number < next) {
    unacknowledged_.pop_front();
    progressed_at_ = now;
  }
}

}  // namespace quorate::replica
