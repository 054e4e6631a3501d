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
  const bool current = active() && from == from_ && chunk.transfer == transfer_;
  if (!current) {
    if (chunk.number != 0) return step;  // of a transfer this node does not know: ask for its start
    if (!gives_way(from, chunk, now)) {
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
  doubted_at_.reset();
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

bool SnapshotReceiver::gives_way(NodeId from, const SnapshotChunk& chunk, Instant now) {
  if (pinned_) return false;
  if (!staging_ || staged_) return true;
  if (from == from_ && chunk.transfer > transfer_) return true;
  if (chunk.epoch > epoch_ && next_ <= little) return true;
  const bool newer = chunk.epoch > epoch_ || chunk.meta.index > index_;
  if (now - progressed_at_ <= (newer ? timeout_ / 10 : timeout_)) return false;
  if (!doubted_at_) doubted_at_ = now;
  return now - *doubted_at_ >= timeout_ / 10;
}

void SnapshotReceiver::tend(Index committed, Instant now) {
  if (!active() || pinned_ || (index_ > committed && now - progressed_at_ <= 2 * timeout_)) return;
  close();
  home_->discard_staging();
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
  home_->discard_staging();
  step.ack.refused = true;
  step.objection = std::move(why);
}

void SnapshotReceiver::close() {
  staging_.reset();
  staged_.reset();
  doubted_at_.reset();
  pinned_ = false;
  from_ = {};
  transfer_ = 0;
  next_ = 0;
}

}  // namespace quorate::replica
