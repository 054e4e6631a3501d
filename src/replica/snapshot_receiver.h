// Receives one state at a time into the staging engine.
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
  // Closes the staging engine; it was promoted or is not wanted.
  void close();

 private:
  [[nodiscard]] bool outranks_current(NodeId from, const SnapshotChunk& chunk, Instant now) const;
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
  std::optional<Instant> waits_until_;  // for room on the disk
  std::optional<SnapshotMeta> staged_;
  bool pinned_ = false;
};

}  // namespace quorate::replica
