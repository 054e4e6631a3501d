// A replica's commands: from a client to the log, here or through the leader, each executed at most once.
#include "replica/replica.h"

namespace quorate::replica {

namespace rl = replicated_log;

void Replica::propose(Env& env, Bytes command, Done done) {
  if (halted_) return done(std::unexpected(Failure::stopping));
  const bool full = pending_.count() >= config_.max_pending ||
                    pending_.bytes() + command.size() > config_.max_pending_bytes;
  if (full) return done(std::unexpected(Failure::overloaded));
  unsent_.push_back(pending_.add(std::move(command), std::move(done), env.now + config_.request_timeout));
  arm_tick(env);
}

void Replica::pump_commands(Env& env) {
  if (unsent_.empty() && forwarded_.empty()) return;
  if (leader_.none() || congested_ || (leads() && (flush_lags() || apply_lags()))) return;
  if (!leads() && !forwarded_.empty()) {
    refuse(std::exchange(forwarded_, {}), false);
    forwarded_bytes_ = 0;
  }
  std::vector<Command> commands = take_unsent(env.now);
  if (!leads()) return forward_batches(commands);
  std::ranges::move(forwarded_, std::back_inserter(commands));
  forwarded_.clear();
  forwarded_bytes_ = 0;
  propose_batches(env, commands);
}

std::vector<Command> Replica::take_unsent(Instant now) {
  std::vector<Command> commands;
  commands.reserve(unsent_.size() + forwarded_.size());
  for (const std::uint64_t number : unsent_) {
    auto* slot = pending_.find(number);
    if (!slot) continue;
    slot->queued = false;
    slot->sent = true;
    slot->sent_at = now;
    commands.push_back({{config_.self, config_.incarnation, number}, pending_.settled(), slot->body});
  }
  unsent_.clear();
  return commands;
}

// Cuts `commands` into runs of about max_batch_bytes and gives each to `use(span)`; stops when it says so.
template <class Use>
static void in_batches(std::span<const Command> commands, std::size_t max_bytes, Use&& use) {
  while (!commands.empty()) {
    std::size_t bytes = 0;
    std::size_t count = 0;
    while (count < commands.size() && bytes < max_bytes) bytes += commands[count++].body.size() + 32;
    if (!use(commands.first(count))) return;
    commands = commands.subspan(count);
  }
}

void Replica::propose_batches(Env& env, const std::vector<Command>& commands) {
  std::size_t proposed = 0;
  in_batches(commands, config_.max_batch_bytes, [&](std::span<const Command> run) {
    if (propose_batch(env, {{run.begin(), run.end()}})) return false;
    proposed += run.size();
    return true;
  });
  if (proposed == commands.size() || halted_) return;
  congested_ = true;
  arm_tick(env);  // the way out, also where nothing is pending but what others forwarded
  refuse(std::span(commands).subspan(proposed), true);
}

std::optional<rl::Refused> Replica::propose_batch(Env& env, CommandBatch batch) {
  const std::uint64_t id = next_id_++;
  std::vector<Bytes> payloads;
  payloads.push_back(codec::encode(batch));
  return ask_protocol(env, rl::Propose{id, std::move(payloads)}, id);
}

void Replica::forward_batches(const std::vector<Command>& commands) {
  in_batches(commands, config_.max_batch_bytes, [&](std::span<const Command> run) {
    send(leader_, Forward{{run.begin(), run.end()}});
    return true;
  });
}

// Own commands wait for the next chance; those of other nodes go back to where they came from.
void Replica::refuse(std::span<const Command> commands, bool busy) {
  std::map<NodeId, ForwardRefused> refusals;
  for (const Command& command : commands) {
    if (command.id.origin == config_.self) {
      requeue(command.id.number);
    } else {
      refusals[command.id.origin].ids.push_back(command.id);
    }
  }
  for (auto& [origin, refusal] : refusals) {
    refusal.leader = leader_;
    refusal.busy = busy;
    send(origin, refusal);
  }
}

void Replica::requeue(std::uint64_t number) {
  auto* slot = pending_.find(number);
  if (!slot || slot->queued) return;
  slot->queued = true;
  unsent_.push_back(number);
}

// A new leader may or may not have what was sent to the old one. Sending it again is safe: a command that
// reaches the log twice is executed once.
void Replica::requeue_all() {
  for (std::uint64_t number = pending_.first(); number < pending_.end(); ++number) {
    if (auto* slot = pending_.find(number)) slot->repeats = 0;
    requeue(number);
  }
  std::ranges::sort(unsent_);
}

// What it wants is a leader's to ask for, and this one's successor asks itself.
void Replica::drop_model_command() {
  if (!model_command_) return;
  if (auto done = pending_.settle(*model_command_)) (*done)(std::unexpected(Failure::timed_out));
}

void Replica::on_frame(Env&, NodeId, Forward&& frame) {
  // Nobody's: there is no session for it, and nobody to refuse it to.
  std::erase_if(frame.commands, [](const Command& command) { return command.id.origin.none(); });
  std::size_t bytes = forwarded_bytes_;
  for (const Command& command : frame.commands) bytes += command.body.size();
  const bool full =
      forwarded_.size() + frame.commands.size() > config_.max_pending || bytes > config_.max_pending_bytes;
  if (full) return refuse(frame.commands, true);
  forwarded_bytes_ = bytes;
  std::ranges::move(frame.commands, std::back_inserter(forwarded_));
}

void Replica::on_frame(Env& env, NodeId, ForwardRefused&& frame) {
  for (const RequestId& id : frame.ids) {
    if (id.origin != config_.self || id.incarnation != config_.incarnation) continue;
    auto* slot = pending_.find(id.number);
    if (!slot) continue;
    slot->repeats = 0;
    // Not at once: two nodes that take each other for the leader would play ball with it. And a leader that
    // has too much to do is spared for longer.
    if (!frame.busy) slot->sent_at = env.now - config_.request_timeout;
  }
}

void Replica::expire_commands(Env& env) {
  for (std::uint64_t number = pending_.first(); number < pending_.end(); ++number) {
    auto* slot = pending_.find(number);
    if (!slot) continue;
    if (slot->deadline > env.now) break;  // deadlines grow with the numbers
    const Failure failure = slot->sent ? Failure::timed_out : Failure::no_leader;
    (*pending_.settle(number))(std::unexpected(failure));
  }
  if (leads()) return;  // what was proposed here stays in the log until leadership changes
  // At growing intervals: each repetition is one more entry in the log, and a cluster that takes longer than
  // the interval must not be kept busy with repetitions.
  constexpr unsigned most_doublings = 3;
  for (std::uint64_t number = pending_.first(); number < pending_.end(); ++number) {
    auto* slot = pending_.find(number);
    if (!slot || !slot->sent || slot->queued) continue;
    const Duration wait = 5 * config_.retry_interval * (1U << std::min(slot->repeats, most_doublings));
    if (env.now - slot->sent_at < wait) continue;
    ++slot->repeats;
    requeue(number);
  }
  std::ranges::sort(unsent_);
}

}  // namespace quorate::replica
