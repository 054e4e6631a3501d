#include "sim/world.h"

#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

namespace quorate::sim {

namespace {

using Survival = storage::MemoryDisk::Survival;

}  // namespace

World::World(const Options& options, const WorkloadModel& model, std::uint64_t seed, Trace* trace)
    : options_(options),
      stage_(options_, Rng(seed), model),
      seed_(seed),
      ambushes_(stage_, *this),
      skeptic_(stage_, *this, Rng(~seed)),
      rng_(stage_.rng.fork()) {
  stage_.trace = trace;
  stage_.ambushes = &ambushes_;
  stage_.chunk_sent = [this](std::uint32_t from, std::uint32_t to) { cut_snapshots(from, to); };
  stage_.skeptic = &skeptic_;
  tune();
  plan();
  found_cluster();
}

// The nodes go first: their replicas give every open operation an end, which the clients write down.
World::~World() { nodes_.clear(); }

// Setting up.

void World::tune() {
  Rng rng = stage_.rng.fork();
  Tuning& tuning = stage_.tuning;
  auto& settings = tuning.settings;
  settings.round_trip = 4ms;
  // One entry a message, a few, or all there are.
  settings.max_batch_bytes = rng.chance(0.5) ? rng.between(64, rng.chance(0.6) ? 160 : 1024) : 1U << 20U;
  settings.max_inflight = rng.chance(0.5) ? rng.between(1, 4) : 64;
  settings.keep_entries = rng.chance(0.7) ? rng.between(0, 20) : 4096;
  auto& replica = tuning.replica;
  replica.request_timeout = 1s;
  replica.periodic_interval = rng.between(Duration(15ms), Duration(100ms));
  replica.retry_interval = 30ms;
  replica.max_batch_bytes = rng.chance(0.5) ? rng.between(1, 400) : 256U << 10U;
  replica.flush_after_entries = rng.chance(0.8) ? rng.between(3, 80) : 100'000;
  replica.snapshot_chunk_bytes = rng.chance(0.7) ? rng.between(1, 300) : 256U << 10U;
  replica.snapshot_timeout = 800ms;
  // A log that is cut at once, so that whoever missed a few entries is sent a state, and not in so many
  // pieces that it never catches up.
  if (rng.chance(0.15)) {
    settings.keep_entries = rng.between(0, 2);
    replica.flush_after_entries = rng.between(1, 4);
    replica.snapshot_chunk_bytes = 256U << 10U;
  }
  if (rng.chance(0.2)) replica.max_pending = rng.between(1, 4);
  // Commands that are left half done, or entries that wait, again and again. (Of its own, so that the other
  // numbers of a seed stay what they were.)
  if (Rng steps(seed_ ^ 0x5354'4550); steps.chance(0.5)) {
    replica.apply_units = steps.chance(0.5) ? steps.between(1, 12) : steps.between(12, 32);
    replica.apply_pause = steps.between(Duration(0), Duration(1ms));
  }
  tuning.segment_bytes = rng.between(4, 64) << 10U;
  tuning.sync_time = rng.chance(0.8) ? rng.between(Duration(20us), Duration(1ms))
                                     : rng.between(Duration(1ms), Duration(10ms));
  // A slow flush for each single entry: who missed some hundred would not be level in time.
  if (tuning.sync_time > 1ms && settings.max_batch_bytes <= 1024)
    settings.max_inflight = std::max(settings.max_inflight, std::size_t{16});
  tuning.flush_time = rng.between(Duration(100us), Duration(20ms));
  tuning.pump_delay = rng.chance(0.5) ? Duration(0) : rng.between(Duration(0), Duration(2ms));
  if (rng.chance(0.4))
    settings.max_clock_drift_ppm = static_cast<std::uint32_t>(rng.between(10'000, 300'000));
  // Of any two clocks, one runs (1 + x) / (1 - x) times as fast as the other at most.
  const auto bound = static_cast<std::int64_t>(settings.max_clock_drift_ppm);
  tuning.drift_ppm = bound * 1'000'000 / (2'000'000 + bound) - 1;
  tuning.lease_reads = rng.chance(0.4) ? 0 : rng.chance(0.5) ? 1 : rng.unit();
  if (options_.lease_reads) tuning.lease_reads = 1;
  if (options_.crash) {  // so that a short script cuts, recycles and installs
    settings.keep_entries = rng.between(0, 10);
    replica.flush_after_entries = rng.between(3, 20);
    tuning.segment_bytes = 4U << 10U;
  }
  auto& network = stage_.network.conditions();
  network.latency = rng.between(Duration(50us), Duration(1ms));
  network.jitter = rng.between(Duration(50us), Duration(2ms));
  stage_.network.adopt_as_usual();
  length_ = rng.between(Duration(3s), Duration(7s));
}

void World::plan() {
  Rng rng = stage_.rng.fork();
  FaultSet faults = options_.faults;
  // Leases rest on clocks that do not jump, the leader's and those that clients of the etcd model keep.
  if (options_.lease_reads || options_.model != "register") faults.remove(FaultKind::clock_jump);
  const FaultSet together = options_.pairs ? pair_of(seed_, faults) : options_.together;
  plan_ =
      together.empty() ? plan_faults(rng, faults, length_) : plan_together(rng, faults, together, length_);
  if (Rng damage(seed_ ^ 0x4d41'4a4f); options_.damaged_majority) add_damage(damage, faults, length_, plan_);
  active_.resize(plan_.size());
  if (std::ranges::find(plan_, FaultKind::clock_jump, &Fault::kind) != plan_.end())
    stage_.tuning.lease_reads = 0;
  if (std::ranges::find(plan_, FaultKind::snapshot_cut, &Fault::kind) != plan_.end()) {  // there must be some
    stage_.tuning.settings.keep_entries = rng.between(0, 10);
    stage_.tuning.replica.flush_after_entries = rng.between(3, 20);
  }
  for (std::uint32_t i = 0; i < plan_.size(); ++i) {
    if (options_.keep && std::ranges::find(*options_.keep, i) == options_.keep->end()) continue;
    stage_.queue.push(plan_[i].from, {EventKind::fault, 0, 0, i, {}});
    stage_.queue.push(plan_[i].until, {EventKind::heal, 0, 0, i, {}});
  }
}

void World::found_cluster() {
  Rng rng = stage_.rng.fork();
  // Even ones too: with one more and one less the quorums of four have no server in common.
  static constexpr std::uint32_t sizes[] = {3, 3, 5, 5, 4, 4, 2, 1};
  const std::uint32_t drawn = sizes[rng.below(std::size(sizes))];
  // Most faults want a quorum that outlives one node.
  const bool together = options_.pairs || !options_.together.empty();
  const std::uint32_t count = options_.nodes != 0 ? options_.nodes : together ? std::max(drawn, 3U) : drawn;
  for (std::uint32_t i = 1; i <= count; ++i) initial_.members.push_back({NodeId(i), Role::voter, {}});
  // The same few nodes suffer all the damage of a run: a quorum keeps intact copies.
  for (std::uint32_t left = (count - 1) / 2; left != 0; --left) {
    victims_ |= 1U << rng.below(count);
  }
  if (options_.damaged_majority) draw_victims(count);
  stage_.checks.founded(initial_);
  for (std::uint32_t i = 0; i < count; ++i) {
    nodes_.push_back(std::make_unique<Node>(stage_, i, NodeId(i + 1), initial_));
  }
  const std::uint32_t keys =
      options_.keys != 0 ? options_.keys : static_cast<std::uint32_t>(rng.between(1, 4));
  const auto clients = static_cast<std::uint32_t>(rng.between(2, 8));
  const Duration think = length_ * clients / std::max(options_.operations, 1U) * 2 / 3;
  clients_ = std::make_unique<Clients>(stage_, rng.fork(), clients, keys, think, options_.operations,
                                       [this](Rng& r) { return any_to_ask(r); });
  companion_ = stage_.model.companion(stage_, rng.fork(), [this](Rng& r) { return any_node(r, true); });
  stage_.companion = companion_.get();
  if (companion_) stage_.checks.tell(*companion_);
  if (options_.crash) arm_crash(options_.crash->operation);
  for (auto& node : nodes_) start_node(*node);
  clients_->begin();
  if (companion_) companion_->begin();
  stage_.queue.push(length_, {EventKind::phase, 0, 0, 0, {}});
}

// The main loop.

Result World::run() {
  while (phase_ != Phase::over && !stage_.checks.failure() && !stage_.queue.empty()) {
    if (++events_ > options_.most_events) {
      stage_.checks.fail("termination", "the run does not end");
      break;
    }
    step();
  }
  if (!stage_.checks.failure()) final_checks();
  Result result;
  result.seed = seed_;
  result.plan = plan_;
  result.storage_operations = crash_victim().disk_faults().operations();
  result.recovery_operations = recovery_operations_.value_or(0);
  result.cuts = cuts_;
  result.leader = leader_;
  result.faults = stage_.coverage.overlaps();
  result.lasting = stage_.lasting;
  result.hash = stage_.hash;
  result.events = events_;
  result.simulated = stage_.now;
  result.recovery = recovered_at_ - healed_at_;
  result.first_commit = committed_at_ - healed_at_;
  result.acknowledged = clients_->acknowledged();
  result.unknown = clients_->unknown();
  result.epochs = stage_.checks.epochs();
  result.rejoined = stage_.rejoined;
  result.silent_losses = stage_.silent_losses;
  result.waits = waits_;
  result.refused = refused_;
  result.ok = !stage_.checks.failure();
  if (!result.ok) {
    result.property = stage_.checks.failure()->property;
    result.failure = stage_.checks.failure()->what;
    if (stage_.trace != nullptr) {
      Trace::Line(*stage_.trace, stage_.now, "failure")
          .field("property", result.property)
          .field("what", result.failure);
    }
  }
  return result;
}

void World::step() {
  stage_.now = stage_.queue.next_at();
  dispatch(stage_.queue.pop());
}

void World::dispatch(Event&& event) {
  stage_.note(static_cast<std::uint64_t>(stage_.now.count()) * 16 + static_cast<std::uint64_t>(event.kind));
  stage_.note(event.number * most_nodes + event.node);
  switch (event.kind) {
    case EventKind::client: clients_->wake(static_cast<std::uint32_t>(event.number)); break;
    case EventKind::fault: begin_fault(static_cast<std::uint32_t>(event.number)); break;
    case EventKind::heal: end_fault(static_cast<std::uint32_t>(event.number)); break;
    case EventKind::companion: companion_->wake(static_cast<std::uint32_t>(event.number)); break;
    case EventKind::ambush: ambushes_.due(event.number); break;
    case EventKind::skeptic: skeptic_.due(); break;
    case EventKind::restart:
      if (!nodes_[event.node]->up() && !gone(*nodes_[event.node])) start_node(*nodes_[event.node]);
      break;
    case EventKind::phase:
      if (phase_ == Phase::faults && event.number == 0) {
        begin_recovery();
      } else {
        check_progress();
      }
      break;
    case EventKind::again: go_on(event); break;
    case EventKind::insist: insist(static_cast<std::uint32_t>(event.number)); break;
    case EventKind::deliver:
      stage_.note(XXH3_64bits(event.frame.data(), event.frame.size()));
      if (!stage_.network.carries(static_cast<std::uint32_t>(event.number - 1), event.node)) return;
      [[fallthrough]];
    default: {
      if (event.node >= nodes_.size()) return;
      nodes_[event.node]->handle(std::move(event));
      break;
    }
  }
  if (!std::exchange(stage_.halts, false)) return;
  for (auto& node : nodes_) {
    if (node->halted() && node->up()) look_after(*node);
  }
}

// A process that stopped itself must have had a reason in its disk.
void World::look_after(Node& node) {
  const std::string reason = *node.halted();
  if (!node.disk_faults().struck()) {
    stage_.checks.fail("no needless stop", fmt::format("node {} stops: {}", node.id().value, reason));
  }
  // After a failed write the process may be restarted at once, or the machine.
  const auto drawn = rng_.chance(0.5) ? Survival::any : Survival::cached;
  stop_node(node, options_.crash ? options_.crash->survival : drawn, reason.c_str(),
            rng_.between(Duration(1ms), Duration(200ms)));
}

void World::start_node(Node& node) {
  const std::uint64_t before = node.disk_faults().operations();
  const bool started = node.start();
  if (cuts_ != 0 && &node == &crash_victim() && !recovery_operations_)
    recovery_operations_ = node.disk_faults().operations() - before;
  if (started) return deaths_end(node);
  if (stage_.trace != nullptr) {
    Trace::Line(*stage_.trace, stage_.now, "refused")
        .field("node", node.id().value)
        .field("reason", node.refusal());
  }
  const auto drawn = node.disk_faults().struck() && rng_.chance(0.5) ? Survival::any : Survival::cached;
  node.stop(options_.crash ? options_.crash->survival : drawn, "refuses to start");
  constexpr int patience = 4;
  const bool beyond_hope =
      node.silent_loss() || (node.disk_faults().lies().damaged() && !node.disk_faults().armed() &&
                             node.refused_again() == patience);
  if (beyond_hope) {
    if (!node.silent_loss()) ++refused_;
    if (node.refusal().empty()) stage_.checks.fail("refusal", "a node does not say why it does not start");
    written_off_ |= 1U << node.slot();
    stage_.checks.lost(node.id());
    return;
  }
  if (!node.may_refuse()) {
    stage_.checks.fail("starts again",
                       fmt::format("node {} refuses to start: {}", node.id().value, node.refusal()));
    return;
  }
  // Its disk is still bad; the operator tries again.
  stage_.queue.push(stage_.now + 50ms, {EventKind::restart, node.slot(), 0, 0, {}});
}

void World::stop_node(Node& node, Survival survival, const char* reason, Duration down) {
  if (!node.up()) return;
  pauses_end(node);
  node.stop(survival, reason);
  stage_.queue.push(stage_.now + down, {EventKind::restart, node.slot(), 0, 0, {}});
}

void World::enter(Phase phase, const char* name) {
  phase_ = phase;
  if (stage_.trace != nullptr) Trace::Line(*stage_.trace, stage_.now, "phase").field("what", name);
}

const Membership& World::membership() const {
  return stage_.checks.membership() ? *stage_.checks.membership() : initial_;
}

// Those that must serve: of the membership in force, what has a process.
std::vector<Node*> World::members() {
  std::vector<Node*> out;
  out.reserve(nodes_.size());
  for (const Member& member : membership().members) {
    Node* node = nodes_.at(member.id.value - 1).get();
    if (!gone(*node)) out.push_back(node);
  }
  return out;
}

Node* World::any_node(Rng& rng, bool only_up) {
  Node* chosen = nullptr;
  std::uint32_t seen = 0;
  for (auto& node : nodes_) {
    if (only_up && (!node->up() || node->halted())) continue;
    if (rng.below(++seen) == 0) chosen = node.get();
  }
  return chosen;
}

// Whom a client asks: anyone, members or not; once all is healed, a member, who must answer.
Node* World::any_to_ask(Rng& rng) {
  if (phase_ == Phase::faults) return any_node(rng, true);
  const auto all = members();
  return all.empty() ? nullptr : all[rng.below(all.size())];
}

}  // namespace quorate::sim
