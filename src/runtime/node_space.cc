// How much room a node takes on its disk, and what it does before there is none.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "runtime/node.h"

namespace quorate::runtime {

// The log is shared, and cut only in front of what every keyspace has in its state. One in which little
// happens would hold all that the others wrote since: it is asked for a checkpoint out of turn.
void Node::bound_log() {
  const auto log = writer_->log_stats();
  if (log.live_bytes <= config_.log_bytes || log.oldest_keyspace.none()) return;
  const auto holder = keyspaces_.find(log.oldest_keyspace);
  if (holder != keyspaces_.end()) return holder->second->checkpoint();
  if (std::exchange(stranger_, log.oldest_keyspace) == log.oldest_keyspace) return;
  spdlog::warn(
      "the log keeps {} bytes for a keyspace that is not in the configuration (id {}): it can not be cut",
      log.live_bytes, log.oldest_keyspace.value);
}

// A disk can fill up between two looks of the clock.
void Node::watch_space_as_the_log_grows() {
  constexpr std::uint64_t step = 1U << 20U;
  if (writer_->staged_ever() - looked_at_ < step) return;
  looked_at_ = writer_->staged_ever();
  watch_space(false);
}

// What is buffered for the state will take its space at the next flush. Before the node gives up on the disk
// it flushes everything, since that is what makes the log shorter; by the next look of the clock that must
// have helped.
void Node::watch_space(bool flush_had_time) {
  const auto space = log_disk_->space();
  if (!space) return;
  free_bytes_ = space->free;
  const std::uint64_t reserve = std::min(config_.reserve_bytes, space->total / 8);
  std::uint64_t wanted = reserve;
  for (const auto& [id, keyspace] : keyspaces_) wanted += keyspace->engine().bytes_unflushed();
  const bool pressed = space->free < wanted;
  if (pressed && !pressed_) {
    for (auto& [id, keyspace] : keyspaces_) keyspace->checkpoint();
  }
  const bool low =
      space->free < reserve / 4 * 3 || (pressed && pressed_ && (flush_had_time || low_on_space_));
  if (flush_had_time || pressed) pressed_ = pressed;
  if (std::exchange(low_on_space_, low) == low) return;
  if (low) {
    spdlog::error("the disk is nearly full: {} MiB are free, {} MiB are wanted; new data is refused",
                  space->free >> 20U, wanted >> 20U);
  } else {
    spdlog::info("the disk has room again: {} MiB are free", space->free >> 20U);
  }
}

std::uint64_t Node::bytes_on_disk() const {
  std::uint64_t total = writer_->log_stats().live_bytes;
  for (const auto& [id, keyspace] : keyspaces_) total += keyspace->engine().bytes_on_disk();
  return total;
}

}  // namespace quorate::runtime
