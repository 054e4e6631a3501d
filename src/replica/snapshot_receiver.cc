#include "replica/snapshot_receiver.h"

#include "replica/state.h"

namespace quorate::replica {

std::expected<SnapshotReceiver::Step, std::string> SnapshotReceiver::chunk(NodeId from,
                                                                           const SnapshotChunk& chunk,
                                                                           Instant now) {
  Step waiting;
  waiting.silent = true;
  if (waits_until_ && now < *waits_until_) return waiting;
  auto taken = take(from, chunk, now);
  if (taken) return *std::move(taken);
  if (taken.error().kind != storage::IoErrorKind::full) return std::unexpected(taken.error().what);
  close();
  home_->discard_staging();
  waits_until_ = now + timeout_;
  waiting.objection = "there is no room for it (" + taken.error().what + "); it is tried again";
  return waiting;
}

storage::IoResult<SnapshotReceiver::Step> SnapshotReceiver::take(NodeId from, const SnapshotChunk& chunk,
                                                                 Instant now) {
  Step step{{.transfer = chunk.transfer}};
  const bool current = (staging_ || staged_) && from == from_ && chunk.transfer == transfer_;
  if (!current) {
    if (chunk.number != 0) return step;  // of a transfer this node does not know: ask for its start
    if (!outranks_current(from, chunk, now)) {
      step.ack.refused = true;
      return step;
    }
    if (auto begun = begin(from, chunk); !begun) return std::unexpected(begun.error());
  }
  if (staged_ || chunk.number != next_) {
    step.ack.next = next_;
    step.ack.done = staged_.has_value();
    return step;
  }
  storage::Batch batch;
  for (const SnapshotRow& row : chunk.rows) {
    if (row.table >= storage::table_count) {
      refuse(step, "it has a row of an unknown table");
      return step;
    }
    batch.put(storage::Table(row.table), row.key.str(), row.value.str());
  }
  staging_->write(batch);
  if (auto failure = staging_->failure()) return std::unexpected(*std::move(failure));
  progressed_at_ = now;
  step.ack.next = ++next_;
  if (chunk.last) {
    if (auto finished = finish(chunk); !finished) return std::unexpected(finished.error());
    if (!staged_) {
      refuse(step, "it does not hold the state its description names");
      return step;
    }
    step.ack.done = step.completed = true;
  }
  return step;
}

// A sender has one transfer under way to this node, so what it sends now is what it still sends; and a leader
// takes the place of the one before it. But of several senders of one epoch, where a protocol has them, each
// state is newer than the one before: none would ever be whole if what comes in were given up for it.
bool SnapshotReceiver::outranks_current(NodeId from, const SnapshotChunk& chunk, Instant now) const {
  if (pinned_) return false;
  if (!staging_ || staged_ || chunk.epoch > epoch_) return true;
  const Duration still = now - progressed_at_;
  const bool newer = chunk.meta.index > index_;
  if (from == from_) return newer || chunk.transfer > transfer_ || still > timeout_;
  return still > (newer ? timeout_ / 10 : timeout_);
}

storage::IoResult<void> SnapshotReceiver::begin(NodeId from, const SnapshotChunk& chunk) {
  close();
  auto created = home_->create_staging();
  if (!created) return std::unexpected(created.error());
  staging_ = std::move(*created);
  from_ = from;
  transfer_ = chunk.transfer;
  epoch_ = chunk.epoch;
  index_ = chunk.meta.index;
  return {};
}

storage::IoResult<void> SnapshotReceiver::finish(const SnapshotChunk& chunk) {
  storage::Batch marker;
  marker.put(storage::Table::system, std::string(complete_key), "");
  if (auto rows = staging_->flush(); !rows) return rows;
  staging_->write(marker);
  if (auto whole = staging_->flush(); !whole) return whole;
  const AppliedPoint holds = State::read_applied(*staging_);
  staging_.reset();
  if (holds.index == chunk.meta.index && holds.epoch == chunk.meta.epoch) staged_ = chunk.meta;
  return {};
}

void SnapshotReceiver::refuse(Step& step, std::string why) {
  close();
  step.ack.refused = true;
  step.objection = std::move(why);
}

void SnapshotReceiver::close() {
  staging_.reset();
  staged_.reset();
  pinned_ = false;
  from_ = {};
  transfer_ = 0;
  next_ = 0;
}

}  // namespace quorate::replica
