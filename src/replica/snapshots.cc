// A replica's snapshots: bringing a whole state to another node, and taking one in.
#include "replica/replica.h"

namespace quorate::replica {

namespace rl = replicated_log;

void Replica::on(Env& env, rl::SendSnapshot&& event) {
  if (senders_.contains(event.to) || refused_offers_.contains(event.to)) return;
  if (!state_.settled()) return wanted_snapshots_.push_back(std::move(event));
  const std::uint64_t transfer = (config_.incarnation << 24U) + next_transfer_++;
  const SnapshotSender::Pace pace{.chunk_bytes = config_.snapshot_chunk_bytes,
                                  .repeat_after = 3 * config_.retry_interval,
                                  .repeat_at_least = config_.snapshot_timeout / 2,
                                  .queueing = config_.retry_interval / 2};
  auto [it, fresh] = senders_.try_emplace(event.to, transfer, event.epoch, state_.meta(),
                                          state_.engine().snapshot(), pace, env.now);
  for (auto& chunk : it->second.fill_window(env.now)) send(event.to, chunk);
  arm_tick(env);
}

void Replica::on_frame(Env& env, NodeId from, SnapshotAck&& frame) {
  auto it = senders_.find(from);
  if (it == senders_.end() || it->second.transfer() != frame.transfer) return;
  SnapshotSender& sender = it->second;
  if (frame.done || frame.refused) {
    const rl::SnapshotDelivered delivered{from, sender.meta().index, frame.done};
    senders_.erase(it);
    if (frame.refused) {
      refused_offers_.insert_or_assign(from,
                                       RefusedOffer{delivered, env.now + config_.snapshot_timeout / 10});
      return offer_snapshot(env);
    }
    delivered_ = true;
    held_back_ = 0;
    return step(env, Ask<rl::Request>{delivered});
  }
  sender.acknowledged(frame.next, env.now);
  for (auto& chunk : sender.fill_window(env.now)) send(from, chunk);
}

void Replica::tend_snapshots(Env& env) {
  std::vector<rl::SnapshotDelivered> given_up;
  for (auto it = senders_.begin(); it != senders_.end();) {
    auto& [to, sender] = *it;
    if (env.now - sender.progressed_at() > config_.snapshot_timeout) {
      given_up.push_back({to, sender.meta().index, false});
      it = senders_.erase(it);
      continue;
    }
    if (sender.overdue(env.now)) {
      for (auto& chunk : sender.repeat(env.now)) send(to, chunk);
    }
    ++it;
  }
  const bool fewer = !given_up.empty();
  std::erase_if(refused_offers_, [&](const auto& offer) {
    const bool over = env.now >= offer.second.until;
    if (over) given_up.push_back(offer.second.told_then);
    return over;
  });
  for (auto& delivered : given_up) step(env, Ask<rl::Request>{delivered});
  if (fewer) offer_snapshot(env);
  receiver_.tend(committed_, env.now);
}

void Replica::on_frame(Env& env, NodeId from, SnapshotChunk&& frame) {
  if (frame.meta.index <= committed_) {  // nothing in it is new
    return send(from, SnapshotAck{.transfer = frame.transfer, .done = true});
  }
  auto taken = receiver_.chunk(from, frame, env.now);
  if (!taken) return halt("receiving a snapshot: " + taken.error());
  if (!taken->objection.empty())
    host_->warn("refused the snapshot that node " + to_string(from) + " sent: " + taken->objection);
  if (!taken->silent) send(from, taken->ack);
  if (receiver_.active()) arm_tick(env);
  if (taken->completed)
    step(env, Ask<rl::Request>{rl::SnapshotReceived{from, frame.epoch, std::move(frame.meta)}});
}

// The protocol takes a received state over by cutting its log in front of it.
void Replica::pin_staged_state(const std::vector<Write>& writes) {
  for (const Write& write : writes) {
    const auto* cut = std::get_if<SnapshotTaken>(&write);
    if (cut && cut->meta.index > state_.applied().index) receiver_.pin();
  }
}

void Replica::on(Env& env, rl::Restore&& event) {
  if (event.meta.index <= state_.applied().index) return;  // applied from the log meanwhile
  if (!receiver_.staged() || receiver_.staged()->index != event.meta.index) {
    return halt("asked to restore a snapshot that is not there");
  }
  receiver_.close();
  // What is being sent is read from the state that goes away.
  for (auto& [to, sender] : senders_) abandoned_.push_back({to, sender.meta().index, false});
  senders_.clear();
  host_->await_flush();
  flushing_.reset();
  available_.reset();
  if (auto restored = state_.restore(); !restored) return halt("restoring a snapshot: " + restored.error());
  committed_ = std::max(committed_, state_.applied().index);
  flushed_ = state_.applied().index;
  // Own commands that took effect within the snapshot have an outcome that nobody can tell any more.
  const auto session = state_.sessions().by_node.find(config_.self.value);
  for (std::uint64_t number = pending_.first(), end = pending_.end(); number < end; ++number) {
    if (session == state_.sessions().by_node.end() || session->second.incarnation != config_.incarnation)
      break;
    if (!session->second.executed_already(number)) continue;
    if (auto done = pending_.settle(number)) (*done)(std::unexpected(Failure::timed_out));
  }
  after_applying(env);
}

}  // namespace quorate::replica
