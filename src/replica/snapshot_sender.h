// Sends one pinned state to one node, in chunks, a window ahead of the acknowledgements (go-back-N). The
// service goes on meanwhile: the pinned view does not see later writes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "core/effects.h"
#include "core/entry.h"
#include "replica/messages.h"
#include "storage/engine.h"

namespace quorate::replica {

class SnapshotSender {
 public:
  SnapshotSender(std::uint64_t transfer, Epoch epoch, SnapshotMeta meta,
                 std::shared_ptr<const storage::Reader> view, std::size_t chunk_bytes, Instant now);

  // The chunks to send now.
  std::vector<SnapshotChunk> fill_window();
  // Everything unacknowledged again.
  std::vector<SnapshotChunk> resend() const { return {unacknowledged_.begin(), unacknowledged_.end()}; }
  // `next` 0 asks for the beginning: the receiver knows nothing of the transfer (any more).
  void acknowledged(std::uint64_t next, Instant now);

  [[nodiscard]] std::uint64_t transfer() const { return transfer_; }
  [[nodiscard]] const SnapshotMeta& meta() const { return meta_; }
  [[nodiscard]] Instant progressed_at() const { return progressed_at_; }

 private:
  static constexpr std::size_t window = 8;
  SnapshotChunk next_chunk();
  void begin_again();

  std::uint64_t transfer_;
  Epoch epoch_;
  SnapshotMeta meta_;
  std::shared_ptr<const storage::Reader> view_;
  std::size_t chunk_bytes_;
  Instant progressed_at_;
  std::size_t table_ = 0;
  std::unique_ptr<storage::Cursor> cursor_;
  std::uint64_t next_number_ = 0;
  bool exhausted_ = false;
  bool wanted_ = false;  // the receiver has taken of it; one that does not want it was sent one chunk only
  std::deque<SnapshotChunk> unacknowledged_;
};

}  // namespace quorate::replica
