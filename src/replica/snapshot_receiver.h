// Receives one state at a time into the staging engine.
//
// Any state that is ahead will do, whoever sends it: what counts is that one becomes whole. So what is coming
// in gives way to another only
//   1. never, once the log is cut in front of it (pin);
//   2. to a later transfer of its own sender, which has given it up;
//   3. to the leader of a later epoch, as long as little of it has come: the former one may be cut off;
//   4. to anyone, once it stands still. That is asked twice, `timeout` / 10 apart with no progress between:
//      it may be this node that stood still, and what its sender sent meanwhile is read behind the offer. It
//      counts as standing still after `timeout` / 10, or after `timeout` where the other is no newer.
// Else leaders in quick turn (by 3), or members that all bring a newcomer their states (by 4), would displace
// each other's for ever.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "core/effects.h"
#include "core/entry.h"
#include "replica/messages.h"
#include "storage/engine.h"

namespace quorate::replica {

class SnapshotReceiver {
 public:
  SnapshotReceiver(storage::EngineHome& home, Duration timeout) : home_(&home), timeout_(timeout) {}

  struct Step {
    SnapshotAck ack;
    bool completed = false;      // this chunk made the state whole and durable
    std::string objection = {};  // why the state was not taken: its sender, or a full disk, is to blame
    bool silent = false;         // no answer: the sender tries again in its own time
  };
  // An error is of the local disk. A full one is none: what came is dropped, and for `timeout` the sender
  // hears nothing.
  [[nodiscard]] std::expected<Step, std::string> chunk(NodeId from, const SnapshotChunk& chunk, Instant now);

  // The state that is whole and durable beside the live one, if any.
  [[nodiscard]] const std::optional<SnapshotMeta>& staged() const { return staged_; }
  // The protocol cut its log in front of the staged state: nothing may replace it until it is promoted, or a
  // crash would find neither log nor state.
  void pin() { pinned_ = staged_.has_value(); }
  // Something is coming in, or staged.
  [[nodiscard]] bool active() const { return staging_ || staged_; }
  // Drops what came of a state that brings nothing any more, or whose sender is silent, or that the protocol
  // did not take. It may be large, and no other may follow.
  void tend(Index committed, Instant now);
  // Closes the staging engine; it was promoted or is not wanted.
  void close();

 private:
  static constexpr std::uint64_t little = 8;  // chunks
  [[nodiscard]] bool gives_way(NodeId from, const SnapshotChunk& chunk, Instant now);
  [[nodiscard]] storage::IoResult<Step> take(NodeId from, const SnapshotChunk& chunk, Instant now);
  [[nodiscard]] storage::IoResult<void> begin(NodeId from, const SnapshotChunk& chunk);
  [[nodiscard]] storage::IoResult<void> finish(const SnapshotChunk& chunk);
  void refuse(Step& step, std::string why);

  storage::EngineHome* home_;
  Duration timeout_;
  std::unique_ptr<storage::Engine> staging_;
  NodeId from_;
  std::uint64_t transfer_ = 0;
  std::uint64_t next_ = 0;
  Epoch epoch_;
  Index index_;
  Instant progressed_at_;
  std::optional<Instant> doubted_at_;   // it seemed to stand still, and has not progressed since
  std::optional<Instant> waits_until_;  // for room on the disk
  std::optional<SnapshotMeta> staged_;
  bool pinned_ = false;
};

}  // namespace quorate::replica
