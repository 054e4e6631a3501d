// Sends one pinned state to one node, in chunks, a window ahead of the acknowledgements (go-back-N). The
// service goes on meanwhile: the pinned view does not see later writes.
//
// The protocol's own messages stand in the same queues as the chunks, and a follower that hears no heartbeats
// begins an election. So the window is that of TCP (RFC 5681: slow start, congestion avoidance), but
// what ends its growth is delay, as in LEDBAT (RFC 6817): chunks that wait for each other longer than
// `queueing`, compared with the fastest one. A loss costs a connection and all that was queued in it, so
// nothing else tells of it than silence: then the first unacknowledged chunk is sent again, at doubling
// intervals, and those behind it as its acknowledgements come (RFC 6298).
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
  struct Pace {
    std::size_t chunk_bytes = 0;    // or one row, if that is larger
    Duration repeat_after = 300ms;  // the shortest silence in which something is taken for lost,
    Duration repeat_at_least = 5s;  // and the longest
    Duration queueing = 50ms;
  };
  SnapshotSender(std::uint64_t transfer, Epoch epoch, SnapshotMeta meta,
                 std::shared_ptr<const storage::Reader> view, Pace pace, Instant now);

  // The chunks to send now. The first goes alone: many who are asked for a state find that it is not wanted.
  std::vector<SnapshotChunk> fill_window(Instant now);
  // Silence for so long that what is under way must be lost; to be followed by repeat().
  [[nodiscard]] bool overdue(Instant now) const {
    return !unacknowledged_.empty() && now - silent_since_ >= patience_;
  }
  std::vector<SnapshotChunk> repeat(Instant now);
  // `next` 0 asks for the beginning: the receiver knows nothing of the transfer (any more).
  void acknowledged(std::uint64_t next, Instant now);

  [[nodiscard]] std::uint64_t transfer() const { return transfer_; }
  [[nodiscard]] const SnapshotMeta& meta() const { return meta_; }
  [[nodiscard]] Instant progressed_at() const { return progressed_at_; }

 private:
  static constexpr std::size_t max_window = 64;
  struct Sent {
    SnapshotChunk chunk;
    Instant at;
    bool repeated = false;  // its acknowledgement does not tell which of the copies it is for
    bool alone = false;     // nothing else of the state was under way: what it takes is the link's time
  };
  SnapshotChunk next_chunk();
  void begin_again();
  void adapt(const Sent& arrived, Duration round_trip);

  std::uint64_t transfer_;
  Epoch epoch_;
  SnapshotMeta meta_;
  std::shared_ptr<const storage::Reader> view_;
  Pace pace_;
  Instant progressed_at_;
  std::size_t table_ = 0;
  std::unique_ptr<storage::Cursor> cursor_;
  std::uint64_t next_number_ = 0;
  bool exhausted_ = false;

  std::deque<Sent> unacknowledged_;
  std::size_t under_way_ = 0;  // so many of these; the others were, and are taken for lost
  std::size_t window_ = 1;
  std::size_t towards_growth_ = 0;     // chunks acknowledged since it grew
  bool narrowed_ = false;              // since the start or the last loss: from then on it grows slowly
  std::uint64_t narrowed_behind_ = 0;  // chunks in front of this one were sent within the wider window
  std::optional<Duration> fastest_;    // round trip; since one that went alone told how long they are now
  Duration patience_;
  Instant silent_since_;  // or repeated last
};

}  // namespace quorate::replica
