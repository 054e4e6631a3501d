// A replica's reads: all that arrive between two pumps share one barrier.
#include "replica/replica.h"

namespace quorate::replica {

namespace rl = replicated_log;

void Replica::read(Env& env, rl::ReadMode mode, ReadDone done) {
  if (halted_) return done(std::unexpected(Failure::stopping));
  auto& queue = unread_[mode == rl::ReadMode::lease ? 1 : 0];
  if (queue.size() + in_barriers_ + ready_reads_.size() >= config_.max_pending) {
    return done(std::unexpected(Failure::overloaded));
  }
  queue.push_back(std::move(done));
  arm_tick(env);
}

void Replica::pump_reads(Env& env) {
  for (const auto mode : {rl::ReadMode::quorum, rl::ReadMode::lease}) {
    auto& queue = unread_[mode == rl::ReadMode::lease ? 1 : 0];
    if (queue.empty()) continue;
    issue_barrier(env, {mode, std::exchange(queue, {}), env.now + config_.request_timeout});
  }
}

void Replica::issue_barrier(Env& env, ReadGroup group) {
  const std::uint64_t id = next_id_++;
  const auto mode = group.mode;
  group.refused = false;
  in_barriers_ += group.waiters.size();
  barriers_.emplace(id, std::move(group));
  step(env, Ask<rl::Request>{rl::ReadBarrier{id, mode}});
}

void Replica::on(Env&, rl::ReadReady&& event) {
  for (const std::uint64_t id : event.ids) {
    auto barrier = barriers_.extract(id);
    if (!barrier) continue;
    in_barriers_ -= barrier.mapped().waiters.size();
    for (auto& done : barrier.mapped().waiters) {
      ready_reads_.emplace(event.index, ReadyRead{std::move(done), barrier.mapped().deadline});
    }
  }
  serve_ready_reads();
}

// Not while a command is half done: what it changes is committed, so reads confirmed since wait for it
// anyhow.
void Replica::serve_ready_reads() {
  if (!state_.settled()) return;
  const Index applied = state_.applied().index;
  while (!ready_reads_.empty() && ready_reads_.begin()->first <= applied) {
    auto done = std::move(ready_reads_.begin()->second.done);
    ready_reads_.erase(ready_reads_.begin());
    done(applied);
  }
}

// A refused barrier is asked anew. The others are the protocol's business, which sees to it that each has an
// answer: to ask again would only add to what it has to do.
void Replica::expire_reads(Env& env) {
  std::vector<ReadGroup> anew;
  for (auto it = barriers_.begin(); it != barriers_.end();) {
    ReadGroup& group = it->second;
    if (env.now >= group.deadline) {
      in_barriers_ -= group.waiters.size();
      auto waiters = std::move(group.waiters);
      it = barriers_.erase(it);
      for (auto& done : waiters) done(std::unexpected(Failure::no_leader));
    } else if (group.refused) {
      in_barriers_ -= group.waiters.size();
      anew.push_back(std::move(group));
      it = barriers_.erase(it);
    } else {
      ++it;
    }
  }
  for (auto& group : anew) issue_barrier(env, std::move(group));
  // A node that was removed may never come to apply what a read waits for.
  std::vector<ReadDone> late;
  for (auto it = ready_reads_.begin(); it != ready_reads_.end();) {
    if (env.now < it->second.deadline) {
      ++it;
      continue;
    }
    late.push_back(std::move(it->second.done));
    it = ready_reads_.erase(it);
  }
  for (auto& done : late) done(std::unexpected(Failure::no_leader));
}

}  // namespace quorate::replica
