#include "sim/node.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

#include "core/codec.h"
#include "sim/ambush.h"
#include "sim/companion.h"
#include "sim/damaged_frame.h"
#include "sim/draw.h"
#include "sim/newer_version.h"
#include "sim/probe.h"
#include "sim/skeptic.h"

namespace quorate::sim {

namespace {
constexpr KeyspaceId keyspace{1};
// How the encoding of such a frame begins.
constexpr char snapshot_chunk = boost::mp11::mp_find<replica::Frame, replica::SnapshotChunk>::value;
}  // namespace

Node::Node(Stage& stage, std::uint32_t slot, NodeId id, Membership initial)
    : stage_(&stage),
      slot_(slot),
      id_(id),
      initial_(std::move(initial)),
      rng_(stage.rng.fork()),
      sync_time_(stage.tuning.sync_time) {
  const auto drift = static_cast<std::uint64_t>(stage.tuning.drift_ppm);
  const Instant shown(rng_.between(Duration(1s), Duration(1h)));
  clock_ = Clock(shown, static_cast<std::int64_t>(rng_.between(0, 2 * drift)) - stage.tuning.drift_ppm);
  disk_.set_hook([this](const storage::MemoryDisk::Access& access) { return disk_faults_(access); });
}

Node::~Node() = default;

// Starting and stopping.

bool Node::start() {
  disk_faults_.forget();
  Lies& lies = disk_faults_.lies();
  const auto before = lies.mark();
  lies.starts();
  lies.writes_for(shadow_.newest_sync() + (shadow_.in_flight() == 0 ? 0 : 1));  // the last batch, once more
  auto opened = open_log();
  if (!opened) return false;
  Recovered recovered = std::move(opened->keyspaces[keyspace]);
  if (!accept(recovered, opened->torn_bytes != 0)) return false;
  auto live = replica::Replica::recover_state(home_, recovered);
  if (!live && live.error().lost) {
    const Membership members = recovered.snapshot ? recovered.snapshot->membership : Membership();
    refusal_ = live.error().what;
    opened.reset();
    if (!begin_log_anew(&members) || !(opened = open_log())) return false;
    recovered = std::move(opened->keyspaces[keyspace]);
    if (!accept(recovered, opened->torn_bytes != 0)) return false;
    live = replica::Replica::recover_state(home_, recovered);
  }
  if (!live) {
    refusal_ = live.error().what;
    return false;
  }
  log_ = std::move(opened->wal);
  // All that the log needs was read, and it is what it was; but perhaps not on the disk.
  if (!disk_.shows_unwritten()) lies.forget(before, !disk_.spoiled());
  refusals_ = 0;
  process_ = ++stage_->stamps;
  submitted_ = {};
  unsynced_groups_ = syncing_groups_ = 0;
  syncing_ = pump_due_ = paused_ = false;
  flush_due_ = nullptr;
  timers_.clear();
  held_.clear();
  halted_.reset();
  seen_applied_ = {};
  grounds_ = {};
  leader_ = {};
  epoch_ = {};
  if (stage_->trace != nullptr) {
    Trace::Line(*stage_->trace, stage_->now, "start")
        .field("node", id_.value)
        .field("log_first", recovered.log.empty() ? 0 : recovered.log.front().index.value)
        .field("log_last", recovered.log.empty() ? 0 : recovered.log.back().index.value)
        .field("snapshot", recovered.snapshot ? recovered.snapshot->index.value : 0);
  }
  stage_->checks.started(id_, recovered, initial_);
  auto settings = stage_->tuning.settings;
  settings.self = id_;
  settings.initial = initial_;
  auto config = stage_->tuning.replica;
  config.self = id_;
  config.incarnation = ++incarnation_;
  auto inner = stage_->options.factory(settings, std::move(recovered));
  runs_newer_ = newer_;
  if (runs_newer_) inner = std::make_unique<NewerVersion>(std::move(inner));
  auto protocol = std::make_unique<Probe>(id_, std::move(inner), settings, stage_->checks, stage_->reads);
  replica_ = std::make_unique<replica::Replica>(config, *this, std::move(protocol), home_, std::move(*live),
                                                stage_->model.create());
  Env now = env();
  replica_->start(now);
  settle();
  return true;
}

void Node::stop(storage::MemoryDisk::Survival survival, const char* reason) {
  if (stage_->trace != nullptr) {
    Trace::Line(*stage_->trace, stage_->now, "down").field("node", id_.value).field("reason", reason);
  }
  process_ = ++stage_->stamps;
  paused_ = false;
  for (const Event& event : std::exchange(held_, {})) {
    if (event.kind == EventKind::operation) stage_->operation(*this, event.number, false);
  }
  replica_.reset();
  pinned_.reset();
  log_.reset();
  disk_.crash(rng_, survival);
  home_.crash();
}

// Events.

void Node::handle(Event&& event) {
  if (!up()) return;
  if (event.kind != EventKind::deliver && event.kind != EventKind::timer && event.stamp != process_) return;
  if (paused_) {
    held_.push_back(std::move(event));
    return;
  }
  dispatch(std::move(event));
}

void Node::resume() {
  if (!paused_) return;
  paused_ = false;
  stage_->skeptic->woke(*this);
  auto held = std::exchange(held_, {});
  // A process that wakes finds its sockets and its timers at the same moment, and may look at either first.
  if (rng_.chance(0.5))
    std::ranges::stable_partition(held, [](const Event& event) { return event.kind != EventKind::timer; });
  for (auto& event : held) {
    if (halted_) {
      if (event.kind == EventKind::operation) stage_->operation(*this, event.number, false);
      continue;
    }
    if (event.kind != EventKind::deliver && event.kind != EventKind::timer && event.stamp != process_)
      continue;
    dispatch(std::move(event));
  }
}

void Node::dispatch(Event&& event) {
  Env now = env();
  switch (event.kind) {
    case EventKind::deliver:
      stage_->reads.arrived(slot_of(NodeId(event.number)), slot_, event.stamp);
      replica_->receive(now, NodeId(event.number), event.frame);
      break;
    case EventKind::timer: fire(TimerId(event.number), event.stamp); break;
    case EventKind::sync:
      if (stalled_) return stage_->queue.push(stage_->now + 5ms, std::move(event));
      write_log(sync_time_ * static_cast<std::int64_t>(event.number) / 4);
      break;
    case EventKind::persisted: log_durable(Ticket(event.number)); break;
    case EventKind::flush: flush_engine(Index(event.number)); break;
    case EventKind::flushed: replica_->flushed(now, Index(event.number)); break;
    case EventKind::pump: pump_due_ = false; break;
    case EventKind::operation: return stage_->operation(*this, event.number, true);
    default: break;
  }
  settle();
  if (stage_->trace != nullptr) trace_step(event);
}

void Node::settle() {
  if (halted_) return;
  if (!pump_due_) {
    Env now = env();
    replica_->pump(now);
    if (halted_) return;
  }
  if (auto broken = replica_->check_invariants()) {
    stage_->checks.fail("invariant", fmt::format("node {}: {}", id_.value, *broken));
  }
  if (stage_->companion != nullptr && !replica_->settled()) stage_->companion->half_done(*this);
  const Index applied = replica_->applied();
  if (applied != seen_applied_ && replica_->settled()) {
    seen_applied_ = applied;
    stage_->checks.applied(id_, applied, replica_->model().digest());
  }
  judge_removed();
}

// Whom it would refuse as a peer, and be it itself.
void Node::judge_removed() {
  const Grounds now{replica_->applied(), replica_->membership_index(), replica_->departed().size(),
                    replica_->rejoining()};
  if (std::exchange(grounds_, now) == now) return;
  // In the midst of a command, what was applied in front of it does not show yet.
  const Index most = replica_->settled() ? now.applied : replica_->committed();
  for (const NodeId former : replica_->departed()) {
    if (former.value <= most_nodes && replica_->removed(former))
      stage_->checks.takes_for_removed(id_, former, now.applied, most);
  }
}

// But who has a part until a change is in force, which for a log filled slot by slot takes more slots. Nor
// does anybody know while the log ends with a change that is not applied.
void Node::must_know_as_removed(const std::vector<NodeId>& former) {
  const auto status = replica_->status();
  if (replica_->rejoining() || status.membership_index > replica_->applied()) return;
  const Membership& known = status.membership;
  for (const NodeId id : former) {
    if (known.find(id) == nullptr && !replica_->removed(id))
      stage_->checks.fail("removal",
                          fmt::format("node {} does not know that node {} is removed", id_.value, id.value));
  }
}

void Node::operate(std::uint64_t operation) {
  if (paused_) {
    held_.push_back({EventKind::operation, slot_, process_, operation, {}});
  } else {
    stage_->operation(*this, operation, true);
  }
}

void Node::gather() {
  if (pump_due_ || stage_->tuning.pump_delay == Duration(0)) return;
  pump_due_ = true;
  schedule(EventKind::pump, stage_->tuning.pump_delay, 0);
}

void Node::schedule(EventKind kind, Duration mean, std::uint64_t number) {
  const Moment at = stage_->now + mean * 3 / 10 + exponential(rng_, mean * 7 / 10);
  stage_->queue.push(at, {kind, slot_, process_, number, {}});
}

// The replica's wishes.

void Node::send(NodeId to, Bytes frame) {
  const std::uint32_t target = slot_of(to);
  if (to.none() || target >= most_nodes || target == slot_) return;
  stage_->checks.sends(id_, frame);
  const auto stamp = stage_->reads.stamp(slot_, target, clock_.at(stage_->now));
  if (stage_->ambushes->sends(*this, target, frame, stamp)) return;
  if (!frame.empty() && frame.data()[0] == snapshot_chunk) stage_->chunk_sent(slot_, target);
  if (!runs_newer_) return transmit(target, std::move(frame), stamp);
  transmit(target, newer::extend_variant(frame), stamp);
  if (++frames_ % newer::unknown_every == 0) transmit(target, newer::unknown_alternative(), stamp);
}

void Node::transmit(std::uint32_t target, Bytes frame, ReadJudge::Stamp stamp) {
  const auto fate = stage_->network.send(stage_->now, slot_, target);
  if (stage_->trace != nullptr) {
    Trace::Line line(*stage_->trace, stage_->now, "send");
    line.field("node", id_.value).field("to", target + 1);
    std::string arrives = "[";
    for (std::uint32_t i = 0; i < fate.count; ++i) {
      arrives += (i == 0 ? "" : ",") + std::to_string(fate.arrivals[i].count());
    }
    line.json("arrives", arrives + "]");
    trace_frame(line, frame);
  }
  if (fate.corrupt) {
    Rng& rng = stage_->network.rng();
    auto arrived = stage_->options.faults.has(FaultKind::undetected_corruption)
                       ? damaged_behind_the_reader(frame, rng)
                       : damaged_on_the_wire(frame, rng);
    if (!arrived) return;
    frame = std::move(*arrived);
  }
  for (std::uint32_t i = 0; i < fate.count; ++i) {
    stage_->queue.push(fate.arrivals[i], {EventKind::deliver, target, stamp, id_.value, frame});
  }
}

void Node::persist(Ticket ticket, std::vector<Write> writes) {
  log_->append(keyspace, writes);
  submitted_ = ticket;
  ++unsynced_groups_;
  if (stage_->trace != nullptr) {
    Trace::Line line(*stage_->trace, stage_->now, "persist");
    line.field("node", id_.value).field("ticket", ticket.value).json("writes", codec::to_json(writes));
  }
  shadow_.submitted(std::move(writes));
  if (syncing_) return;
  syncing_ = true;
  begin_sync();
}

void Node::begin_sync() {
  // Somewhere within this time the data is safe, and at its end it is told so.
  const auto part = static_cast<std::int64_t>(rng_.below(4));
  schedule(EventKind::sync, sync_time_ * part / 4, 4 - static_cast<std::uint64_t>(part));
}

void Node::write_log(Duration rest) {
  syncing_groups_ = std::exchange(unsynced_groups_, 0);
  disk_faults_.lies().writes_for(shadow_.newest_sync() + 1);
  if (auto synced = log_->sync(); !synced) return halt("writing the log: " + synced.error().what);
  shadow_.synced(std::exchange(syncing_groups_, 0));
  schedule(EventKind::persisted, rest, submitted_.value);
}

void Node::log_durable(Ticket upto) {
  syncing_ = submitted_ > upto;
  if (syncing_) begin_sync();
  stage_->checks.durable(id_, upto);  // in front of what waits for it
  Env now = env();
  replica_->persisted(now, upto);
}

void Node::flush_state(Index upto) {
  flush_due_ = replica_->engine().begin_flush();
  schedule(EventKind::flush, stage_->tuning.flush_time, upto.value);
}

void Node::flush_engine(Index upto) {
  auto flush = std::exchange(flush_due_, nullptr);
  if (!flush) return;
  // The state has a disk access of its own: it may fail, and power may go just before or just behind it.
  const auto fault = disk_faults_({storage::MemoryDisk::Operation::sync, "state"});
  const bool cut = fault.kind == storage::MemoryDisk::FaultKind::power_cut;
  if (fault.kind != storage::MemoryDisk::FaultKind::none && !(cut && rng_.chance(0.5)))
    return halt(cut ? "flushing the state: power cut" : "flushing the state: Input/output error");
  if (auto flushed = flush(); !flushed) return halt("flushing the state: " + flushed.error().what);
  if (cut) return halt("flushing the state: power cut");
  pinned_ = replica_->engine().snapshot();
  schedule(EventKind::flushed, stage_->tuning.flush_time, upto.value);
}

void Node::await_flush() { flush_due_ = nullptr; }

void Node::halt(const std::string& reason) {
  if (!halted_) halted_ = reason;
  stage_->halts = true;
}

void Node::warn(const std::string& what) {
  if (stage_->trace != nullptr)
    Trace::Line(*stage_->trace, stage_->now, "warning").field("node", id_.value).field("what", what);
}

void Node::leader_changed(NodeId leader, Epoch epoch) {
  leader_ = leader;
  epoch_ = epoch;
  if (leader == id_) {
    ++stage_->leaderships;
    stage_->skeptic->elected();
  }
  stage_->ambushes->sees_leader(*this);
  if (stage_->trace != nullptr) {
    Trace::Line(*stage_->trace, stage_->now, "leader")
        .field("node", id_.value)
        .field("leader", leader.value)
        .field("epoch", epoch.value);
  }
}

void Node::membership_changed(const Membership& membership) {
  grounds_ = {};  // the same change may be told again, in force
  if (stage_->trace != nullptr) {
    Trace::Line(*stage_->trace, stage_->now, "membership")
        .field("node", id_.value)
        .json("members", codec::to_json(membership));
  }
}

}  // namespace quorate::sim
