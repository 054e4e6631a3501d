#include "replica/snapshot_sender.h"

#include <algorithm>

#include "replica/state.h"

namespace quorate::replica {

SnapshotSender::SnapshotSender(std::uint64_t transfer, Epoch epoch, SnapshotMeta meta,
                               std::shared_ptr<const storage::Reader> view, Pace pace, Instant now)
    : transfer_(transfer),
      epoch_(epoch),
      meta_(std::move(meta)),
      view_(std::move(view)),
      pace_(pace),
      progressed_at_(now),
      patience_(pace.repeat_after),
      silent_since_(now) {}

SnapshotChunk SnapshotSender::next_chunk() {
  SnapshotChunk chunk{transfer_, epoch_, meta_, next_number_++, {}, false};
  std::size_t bytes = 0;
  while (bytes < pace_.chunk_bytes && table_ < storage::table_count) {
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
  next_number_ = narrowed_behind_ = 0;
  exhausted_ = narrowed_ = false;
  unacknowledged_.clear();
  under_way_ = towards_growth_ = 0;
  window_ = 1;
}

std::vector<SnapshotChunk> SnapshotSender::fill_window(Instant now) {
  std::vector<SnapshotChunk> chunks;
  while (under_way_ < window_) {
    if (under_way_ < unacknowledged_.size()) {
      unacknowledged_[under_way_].repeated = true;
    } else if (!exhausted_) {
      unacknowledged_.push_back({next_chunk(), now});
    } else {
      break;
    }
    Sent& next = unacknowledged_[under_way_++];
    next.at = now;
    next.alone = unacknowledged_.size() == 1;
    chunks.push_back(next.chunk);
  }
  return chunks;
}

std::vector<SnapshotChunk> SnapshotSender::repeat(Instant now) {
  under_way_ = towards_growth_ = 0;
  window_ = 1;
  narrowed_ = false;
  patience_ = std::max(patience_, std::min(2 * patience_, pace_.repeat_at_least));
  silent_since_ = now;
  return fill_window(now);
}

void SnapshotSender::acknowledged(std::uint64_t next, Instant now) {
  // Should that have been said of a chunk that overtook the first one, the receiver answers the repeated
  // first chunk with where it is: the view is pinned, so the same chunks come out again.
  if (next == 0 && !unacknowledged_.empty() && unacknowledged_.front().chunk.number != 0) begin_again();
  while (!unacknowledged_.empty() && unacknowledged_.front().chunk.number < next) {
    const Sent& arrived = unacknowledged_.front();
    adapt(arrived, now - arrived.at);
    unacknowledged_.pop_front();
    if (under_way_ > 0) --under_way_;
    progressed_at_ = silent_since_ = now;
  }
}

// Patience that a repetition has stretched lasts until a chunk sent once tells how long it takes (Karn).
void SnapshotSender::adapt(const Sent& arrived, Duration round_trip) {
  if (!arrived.repeated) {
    fastest_ = arrived.alone ? round_trip : std::min(fastest_.value_or(round_trip), round_trip);
    patience_ = std::clamp(2 * round_trip, pace_.repeat_after, pace_.repeat_at_least);
    if (round_trip > *fastest_ + pace_.queueing) {
      if (arrived.chunk.number < narrowed_behind_) return;
      window_ = std::max(window_ / 2, std::size_t{1});
      narrowed_ = true;
      narrowed_behind_ = next_number_;
      towards_growth_ = 0;
      return;
    }
  }
  if (++towards_growth_ < (narrowed_ ? window_ : 1)) return;
  towards_growth_ = 0;
  window_ = std::min(window_ + 1, max_window);
}

}  // namespace quorate::replica
