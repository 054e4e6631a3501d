#include "replica/replica.h"

namespace quorate::replica {

namespace rl = replicated_log;

namespace {

// A protocol's own timers stay below 2^62.
constexpr TimerId tick_timer{(3ULL << 62U) + 1};
constexpr TimerId model_timer{(3ULL << 62U) + 2};
constexpr TimerId apply_timer{(3ULL << 62U) + 3};

// What has piled up is worked off in that many turns, however fast more comes in.
constexpr std::size_t bytes_waiting_per_unit = 64;

}  // namespace

const char* to_string(Failure failure) {
  switch (failure) {
    case Failure::no_leader: return "no leader";
    case Failure::overloaded: return "too many requests";
    case Failure::change_pending: return "another change is under way, or was made meanwhile";
    case Failure::not_ready: return "a learner lacks too much of the log";
    case Failure::invalid: return "not possible as asked";
    case Failure::timed_out: return "timed out, outcome unknown";
    case Failure::stopping: return "stopping";
  }
  return "?";
}

Replica::Replica(Config config, Host& host, std::unique_ptr<Protocol> protocol, storage::EngineHome& home,
                 std::unique_ptr<storage::Engine> live, std::unique_ptr<models::Model> model)
    : config_(config),
      host_(&host),
      protocol_(std::move(protocol)),
      state_(home, std::move(live), std::move(model)),
      receiver_(home, config.snapshot_timeout) {
  committed_ = flushed_ = state_.applied().index;
  membership_ = state_.applied().membership;
}

Replica::~Replica() { close(); }

// Input.

void Replica::start(Env& env) {
  protocol_->start(env);
  settle_effects(env);
}

void Replica::receive(Env& env, NodeId from, const Bytes& bytes) {
  if (halted_ || from.none() || from == config_.self) return;
  auto frame = codec::decode<Frame>(bytes);
  if (!frame) return;
  std::visit([&](auto& inner) { on_frame(env, from, std::move(inner)); }, *frame);
}

void Replica::on_frame(Env& env, NodeId from, ProtocolFrame&& frame) {
  step(env, Receive<Bytes>{from, std::move(frame.message)});
}

void Replica::timer(Env& env, TimerId id) {
  if (halted_) return;
  if (id == tick_timer) return tick(env);
  if (id == model_timer) return ask_model(env);
  if (id == apply_timer) return apply(env);
  step(env, TimerFired{id});
}

void Replica::persisted(Env& env, Ticket upto) {
  if (halted_ || upto <= durable_) return;
  durable_ = upto;
  release_gated(env);
  step(env, Persisted{upto});
}

void Replica::pump(Env& env) {
  if (halted_) return;
  for (auto& delivered : std::exchange(abandoned_, {})) step(env, Ask<rl::Request>{delivered});
  pump_changes(env);
  pump_commands(env);
  pump_reads(env);
}

// Driving the protocol.

void Replica::step(Env& env, Protocol::In&& input) {
  if (halted_) return;
  protocol_->step(env, std::move(input));
  settle_effects(env);
}

void Replica::settle_effects(Env& env) {
  auto effects = std::exchange(spare_effects_, {});  // each may lead to more, and here again
  protocol_->take_into(effects);
  for (auto& effect : effects) {
    if (halted_) return;
    if (auto* message = std::get_if<Send<Bytes>>(&effect)) {
      if (message->after > durable_) {
        gated_.push_back({message->after, std::move(*message)});
      } else {
        deliver(*message);
      }
    } else if (auto* persist = std::get_if<Persist>(&effect)) {
      pin_staged_state(persist->writes);
      host_->persist(persist->ticket, std::move(persist->writes));
    } else if (auto* set = std::get_if<SetTimer>(&effect)) {
      host_->set_timer(set->id, set->at);
    } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
      host_->cancel_timer(cancel->id);
    } else {
      auto& emit = std::get<Emit<rl::Event>>(effect);
      if (emit.after > durable_) {
        gated_.push_back({emit.after, std::move(emit.event)});
      } else {
        handle(env, std::move(emit.event));
      }
    }
  }
  effects.clear();
  spare_effects_ = std::move(effects);
}

void Replica::release_gated(Env& env) {
  while (!gated_.empty() && !halted_) {
    // Tickets grow, but an effect may wait for an older ticket than the one queued in front of it.
    auto ready = std::ranges::find_if(gated_, [&](const Gated& gated) { return gated.after <= durable_; });
    if (ready == gated_.end()) return;
    auto effect = std::move(ready->effect);
    gated_.erase(ready);
    if (auto* message = std::get_if<Send<Bytes>>(&effect)) {
      deliver(*message);
    } else {
      handle(env, std::move(std::get<rl::Event>(effect)));
    }
  }
}

void Replica::deliver(const Send<Bytes>& message) { send(message.to, ProtocolFrame{message.message}); }

void Replica::send(NodeId to, const Frame& frame) { host_->send(to, codec::encode(frame)); }

void Replica::handle(Env& env, rl::Event&& event) {
  std::visit([&](auto&& inner) { on(env, std::forward<decltype(inner)>(inner)); }, std::move(event));
}

void Replica::on(Env& env, rl::Committed&& event) {
  if (event.entries.empty()) return;
  const Index before = committed_;
  committed_ = std::max(committed_, event.entries.back().index);
  congested_ = false;
  for (const Entry& entry : event.entries) {
    if (entry.index > before) bytes_since_flush_ += entry.payload.size() + 32;
  }
  if (auto taken = state_.take(std::move(event.entries)); !taken) return halt(taken.error());
  if (!apply_due_) apply(env);
}

// Some of what is committed. A command that takes long is left in its midst, for the next turn: meanwhile the
// protocol goes on, and so do others' requests as far as they do not wait for it.
void Replica::apply(Env& env) {
  host_->applying();
  applied_at_ = env.now;
  const Index before = state_.applied().index;
  models::Pace pace(std::max(config_.apply_units, state_.waiting_bytes() / bytes_waiting_per_unit));
  auto executed = state_.apply(pace, config_.self, config_.incarnation);
  const auto own = state_.sessions().by_node.find(config_.self.value);
  if (own != state_.sessions().by_node.end() && own->second.incarnation > config_.incarnation) {
    return halt("a later start of this node is in the log: another process runs with this node's id");
  }
  entries_since_flush_ += state_.applied().index - before;
  for (auto& command : executed) {
    if (auto done = pending_.settle(command.number)) (*done)(std::move(command.result));
  }
  apply_due_ = !state_.idle();
  if (apply_due_) host_->set_timer(apply_timer, env.now + config_.apply_pause);
  if (state_.settled()) after_applying(env);
}

void Replica::after_applying(Env& env) {
  tell_sampled_digest();
  serve_ready_reads();
  finish_changes_in_force();
  if (std::exchange(checkpoint_due_, false)) checkpoint(env);
  for (auto& call : std::exchange(until_settled_, {})) call();  // to whom what was asked before is under way
  for (auto& wanted : std::exchange(wanted_snapshots_, {})) on(env, std::move(wanted));
  maybe_flush();
}

void Replica::when_settled(std::move_only_function<void()> call) {
  if (state_.settled()) return call();
  until_settled_.push_back(std::move(call));
}

void Replica::on(Env& env, rl::LeaderChanged&& event) {
  const bool changed = event.leader != leader_ || event.epoch != epoch_;
  leader_ = event.leader;
  epoch_ = event.epoch;
  if (!changed) return;
  transfers_of_others_.clear();
  host_->leader_changed(leader_, epoch_);
  if (leads()) {
    comparing_since_ = env.now;
    told_digests_.clear();
    host_->set_timer(model_timer, env.now + config_.periodic_interval);
  } else {
    host_->cancel_timer(model_timer);
  }
  for (auto& [id, change] : changes_) change.asked = false;
  drop_model_command();
  if (!leader_.none()) requeue_all();
  finish_changes_in_force();
}

void Replica::on(Env&, rl::MembershipChanged&& event) {
  // A snapshot of a cluster that was never changed must name its members too, or no receiver can use it.
  if (event.committed && event.index <= state_.applied().index) state_.assume(event.membership);
  membership_ = std::move(event.membership);
  membership_index_ = event.index;
  if (event.committed) reconfigurations_of_others_.clear();
  host_->membership_changed(membership_);
  finish_changes_in_force();
}

void Replica::on(Env&, rl::Refused&& event) {
  if (event.id == asking_) {
    refused_ = event;
  } else if (auto barrier = barriers_.find(event.id); barrier != barriers_.end()) {
    barrier->second.refused = true;
  } else if (auto asker = transfers_of_others_.extract(event.id)) {
    answer_forwarded(asker.mapped(), event.reason);
  } else if (auto other = reconfigurations_of_others_.extract(event.id)) {
    answer_forwarded(other.mapped(), event.reason);
  } else {
    change_answered(event.id, event.reason);
  }
}

void Replica::on(Env&, rl::Halt&& event) { halt(event.reason); }

void Replica::on(Env&, rl::Rejoining&& event) {
  rejoining_ = !event.over;
  host_->warn(rejoining_
                  ? "its log was damaged here: this node votes for nobody until others have brought it "
                    "what it lost"
                  : "this node has again what it lost when its log was damaged");
}

void Replica::halt(const std::string& reason) {
  if (halted_) return;
  halted_ = true;
  host_->halt(reason);
}

// Asks and tells how it was refused, if it was at once.
std::optional<rl::Refused> Replica::ask_protocol(Env& env, rl::Request request, std::uint64_t id) {
  asking_ = id;
  refused_.reset();
  step(env, Ask<rl::Request>{std::move(request)});
  asking_ = 0;
  return std::exchange(refused_, std::nullopt);
}

// Time.

void Replica::arm_tick(Env& env) {
  if (ticking_) return;
  ticking_ = true;
  host_->set_timer(tick_timer, env.now + config_.retry_interval);
}

void Replica::tick(Env& env) {
  ticking_ = false;
  congested_ = false;
  expire_commands(env);
  expire_reads(env);
  expire_changes(env);
  tend_snapshots(env);
  const bool busy = pending_.count() != 0 || !barriers_.empty() || !unread_[0].empty() ||
                    !unread_[1].empty() || !ready_reads_.empty() || !changes_.empty() || !senders_.empty() ||
                    !refused_offers_.empty() || receiver_.active();
  if (busy) arm_tick(env);
}

void Replica::ask_model(Env& env) {
  if (!leads()) return;
  host_->set_timer(model_timer, env.now + config_.periodic_interval);
  compare_digests(env);
  if (model_command_) return;
  auto command = state_.model().periodic({config_.self, config_.incarnation, env.now.time_since_epoch()});
  if (!command) return;
  model_command_ = pending_.end();  // what propose() is about to number it
  propose(env, std::move(*command),
          [this, next = env.now + config_.periodic_interval](const Outcome<Bytes>& outcome) {
            model_command_.reset();
            // Where committing takes longer than the interval, the next one is due as soon as it is applied.
            if (outcome) host_->set_timer(model_timer, std::max(applied_at_, next));
          });
}

void Replica::maybe_flush() {
  if (flushing_ || !state_.settled()) return;
  if (entries_since_flush_ < config_.flush_after_entries && bytes_since_flush_ < config_.flush_after_bytes)
    return;
  begin_flush();
}

void Replica::checkpoint(Env&) {
  if (halted_ || flushing_ || state_.applied().index.none()) return;
  state_.settled() ? begin_flush() : void(checkpoint_due_ = true);
}

void Replica::begin_flush() {
  flushing_ = state_.meta();
  entries_since_flush_ = bytes_since_flush_ = 0;
  host_->flush_state(flushing_->index);
}

void Replica::flushed(Env& env, Index upto) {
  if (halted_ || !flushing_ || flushing_->index != upto) return;
  SnapshotMeta meta = std::move(*flushing_);
  flushing_.reset();
  flushed_ = std::max(flushed_, meta.index);
  available_ = std::move(meta);
  offer_snapshot(env);
  maybe_flush();
}

// Lets the protocol cut its log. Not while a snapshot is on its way to a node that will want what follows it,
// nor right behind its arrival, or that node would need the next snapshot at once; but a node that never gets
// done must not hold the log up.
void Replica::offer_snapshot(Env& env) {
  constexpr int patience = 16;
  if (!available_ || ((!senders_.empty() || delivered_) && ++held_back_ < patience)) return;
  held_back_ = 0;
  delivered_ = false;
  step(env, Ask<rl::Request>{rl::SnapshotAvailable{*std::exchange(available_, std::nullopt)}});
}

Replica::Status Replica::status() const {
  return {.self = config_.self,
          .leader = leader_,
          .epoch = epoch_,
          .applied = state_.applied().index,
          .committed = committed_,
          .flushed = flushed_,
          .membership = membership_,
          .membership_index = membership_index_,
          .is_leader = leads(),
          .rejoining = rejoining_,
          .pending = pending_.count()};
}

std::optional<std::string> Replica::check_invariants() const {
  if (state_.applied().index > committed_) return "applied an entry that is not committed";
  if (flushed_ > state_.applied().index) return "flushed more than is applied";
  return protocol_->check_invariants();
}

void Replica::close() {
  halted_ = true;
  until_settled_.clear();
  for (std::uint64_t number = pending_.first(), end = pending_.end(); number < end; ++number) {
    if (auto done = pending_.settle(number)) (*done)(std::unexpected(Failure::stopping));
  }
  for (auto& queue : unread_) {
    for (auto& done : std::exchange(queue, {})) done(std::unexpected(Failure::stopping));
  }
  for (auto& [id, group] : std::exchange(barriers_, {})) {
    for (auto& done : group.waiters) done(std::unexpected(Failure::stopping));
  }
  for (auto& [index, read] : std::exchange(ready_reads_, {})) read.done(std::unexpected(Failure::stopping));
  for (auto& [id, change] : std::exchange(changes_, {})) change.done(std::unexpected(Failure::stopping));
}

}  // namespace quorate::replica
