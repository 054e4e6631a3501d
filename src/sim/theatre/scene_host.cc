#include "sim/theatre/scene_host.h"

#include <fmt/format.h>

#include "core/codec.h"
#include "replica/state.h"

namespace quorate::sim {

namespace {

constexpr storage::Table rows{1};
constexpr replica::SnapshotSender::Pace row_by_row{.chunk_bytes = 1};  // a chunk holds one row at least

}  // namespace

void SceneHost::open() {
  engine_ = std::move(*home_.open_live());
  receiver_ = std::make_unique<replica::SnapshotReceiver>(home_, 10s);
  const auto applied = replica::State::read_applied(*engine_);
  meta_ = {applied.index, applied.epoch, applied.membership, {}};
  state_.clear();
  auto cursor = engine_->cursor(rows);
  for (cursor->seek(""); cursor->valid(); cursor->next())
    state_[Index(std::stoull(std::string(cursor->key())))] = cursor->value();
}

void SceneHost::committed(const Entry& entry, const std::string& text, const Membership& membership) {
  state_[entry.index] = text;
  meta_ = {entry.index, entry.epoch, membership, {}};
  engine_->put(rows, fmt::format("{:06}", entry.index.value), Bytes::copy(text));
  engine_->put(storage::Table::system, "applied",
               codec::encode(replica::AppliedPoint{meta_.index, meta_.epoch, meta_.membership}));
}

SnapshotMeta SceneHost::flush() {
  if (auto flushed = engine_->flush(); !flushed) return {};
  return meta_;
}

void SceneHost::crash() {
  senders_.clear();
  receiver_.reset();
  engine_.reset();
  home_.crash();
  open();
}

SceneHost::Chunks SceneHost::send_snapshot(NodeId to, Epoch epoch, std::uint64_t transfer, Instant now) {
  auto [at, fresh] = senders_.try_emplace(to, transfer, epoch, meta_, engine_->snapshot(), row_by_row, now);
  return fresh ? at->second.fill_window(now) : Chunks();
}

SceneHost::Chunks SceneHost::resend(NodeId to, Instant now) {
  const auto at = senders_.find(to);
  return at == senders_.end() ? Chunks() : at->second.repeat(now);
}

SceneHost::Chunks SceneHost::acknowledged(NodeId from, const replica::SnapshotAck& ack, Instant now,
                                          std::optional<replicated_log::SnapshotDelivered>& ended) {
  const auto at = senders_.find(from);
  if (at == senders_.end() || at->second.transfer() != ack.transfer) return {};
  if (ack.done || ack.refused) {
    ended = {from, at->second.meta().index, ack.done};
    senders_.erase(at);
    return {};
  }
  at->second.acknowledged(ack.next, now);
  return at->second.fill_window(now);
}

replica::SnapshotReceiver::Step SceneHost::receive(NodeId from, const replica::SnapshotChunk& chunk,
                                                   Instant now) {
  auto step = receiver_->chunk(from, chunk, now);
  return step ? *step : replica::SnapshotReceiver::Step{};
}

void SceneHost::restore() {
  receiver_.reset();
  engine_.reset();
  if (auto promoted = home_.promote_staging(); !promoted) return;
  open();
}

}  // namespace quorate::sim
