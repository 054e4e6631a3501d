// How each fault is done and undone.
#include <algorithm>

#include <fmt/format.h>

#include "sim/world.h"

namespace quorate::sim {

namespace {
using Survival = storage::MemoryDisk::Survival;

// Done to what lies on the disk, whether a process runs or not.
bool strikes_at_rest(FaultKind kind) {
  return kind == FaultKind::bit_flip || kind == FaultKind::lost_file || kind == FaultKind::misdirected_read ||
         kind == FaultKind::stale_read || kind == FaultKind::misread_sector ||
         kind == FaultKind::unreadable_sector;
}

// Takes effect later than it begins: at an access to the disk, if there is one.
bool strikes_at_access(FaultKind kind) {
  return kind >= FaultKind::power_cut && kind <= FaultKind::unreadable_sector &&
         kind != FaultKind::restart_all && kind != FaultKind::slow_disk;
}

// How long an insisting fault waits for its effect before it begins again.
Duration patience(FaultKind kind) {
  return kind == FaultKind::snapshot_cut || kind == FaultKind::leader_hunt ? Duration(150ms) : Duration(25ms);
}
}  // namespace

void World::begin_fault(std::uint32_t number) {
  if (phase_ != Phase::faults) return;
  const Fault& fault = plan_[number];
  Rng rng = draws_of(number);
  if (stage_.trace != nullptr)
    Trace::Line(*stage_.trace, stage_.now, "fault").field("what", to_string(fault));
  active_[number].begun = true;
  if (fault.insists)
    stage_.queue.push(stage_.now + patience(fault.kind), {EventKind::insist, nobody, 0, number, {}});
  if (is_ambush(fault.kind)) return ambushes_.begin(number, fault.kind, rng);
  switch (fault.kind) {
    case FaultKind::loss:
    case FaultKind::duplication:
    case FaultKind::reordering:
    case FaultKind::delay:
    case FaultKind::undetected_corruption:
    case FaultKind::corruption: return network_conditions(number, true);
    case FaultKind::clog:
    case FaultKind::partition:
    case FaultKind::one_way:
    case FaultKind::partial:
    case FaultKind::isolation:
    case FaultKind::flapping: return cut_network(number, rng);
    case FaultKind::membership: return change_membership(number, rng);
    case FaultKind::transfer: return transfer_leadership(number, rng);
    case FaultKind::snapshot_cut:
      snapshot_cuts_.push_back(number);
      active_[number].fresh = add_node();
      return join(number);
    case FaultKind::replacement: return replace(number);
    case FaultKind::restart_all: return restart_all(number, rng);
    default: return node_fault(number, rng);
  }
}

void World::end_fault(std::uint32_t number) {
  Active& active = active_[number];
  if (!active.begun) return;
  active.begun = false;
  const Fault& fault = plan_[number];
  const bool ends_itself = fault.kind == FaultKind::membership || fault.kind == FaultKind::transfer;
  if (!ends_itself) stage_.coverage.ended(number);
  std::erase(snapshot_cuts_, number);
  if (stage_.trace != nullptr) {
    Trace::Line(*stage_.trace, stage_.now, "heal").field("what", to_string(fault.kind));
  }
  if (is_ambush(fault.kind)) return ambushes_.end(number);
  network_conditions(number, false);
  if (active.cut) cut_links(number, false);
  active.links.clear();
  if (active.node == nullptr) return;
  Node& node = *active.node;
  if (fault.kind == FaultKind::pause && node.up()) node.resume();
  if (fault.kind == FaultKind::slow_disk) {
    for (auto& each : nodes_) {
      if (each.get() == &node || active.all_nodes) each->set_sync_time(stage_.tuning.sync_time);
    }
  }
  if (fault.kind == FaultKind::full_disk || fault.kind == FaultKind::io_error ||
      fault.kind == FaultKind::failed_sync || fault.kind == FaultKind::failed_directory_sync) {
    node.disk_faults().disarm(number);
  }
  if (fault.kind == FaultKind::wild_clock) node.set_speed(0);
  Rng rng(fault.seed + 1);
  if (fault.kind == FaultKind::version_skew) change_release(number, false, rng);
}

// The network.

void World::network_conditions(std::uint32_t number, bool on) {
  const Fault& fault = plan_[number];
  auto& network = stage_.network.conditions();
  const double i = fault.intensity;
  switch (fault.kind) {
    case FaultKind::loss: network.loss = on ? 0.02 + 0.5 * i * i : 0; break;
    case FaultKind::duplication: network.duplication = on ? 0.05 + 0.9 * i : 0; break;
    case FaultKind::reordering: network.reordering = on ? 0.1 + 0.9 * i : 0; break;
    case FaultKind::undetected_corruption:
    case FaultKind::corruption: network.corruption = on ? 0.01 + 0.3 * i * i : 0; break;
    case FaultKind::delay:
      network.slow = on ? 0.05 + 0.9 * i : 0;
      network.slowness = Duration(20ms) + Duration(static_cast<std::int64_t>(i * 6e8));
      break;
    default: return;
  }
  if (on) took_effect(number);
}

void World::cut_network(std::uint32_t number, Rng& rng) {
  const Fault& fault = plan_[number];
  Active& active = active_[number];
  const auto count = static_cast<std::uint32_t>(nodes_.size());
  if (count < 2) return;
  const std::uint64_t side = rng.next();  // one bit a node
  const auto on_side = [&](std::uint32_t slot) { return (side >> slot & 1U) != 0; };
  std::uint32_t lone = static_cast<std::uint32_t>(rng.below(count));
  if (fault.kind == FaultKind::isolation && !draw_follower(rng, lone)) return;
  const std::uint64_t direction = rng.below(3);  // of an isolation
  const bool mute = rng.chance(0.5);
  const bool alone = rng.chance(0.5);
  const bool bridge = rng.chance(0.5);  // partial: all pairs are cut but those of one node, else some pairs
  for (std::uint32_t a = 0; a < count; ++a) {
    for (std::uint32_t b = 0; b < count; ++b) {
      if (a == b) continue;
      bool take = false;
      switch (fault.kind) {
        case FaultKind::clog: take = rng.chance(0.3); break;
        case FaultKind::one_way: take = alone ? (mute ? a : b) == lone : on_side(a) && !on_side(b); break;
        case FaultKind::isolation:
          take = (a == lone && direction != 0) || (b == lone && direction != 1);
          break;
        case FaultKind::partial: take = a < b && (bridge ? a != lone && b != lone : rng.chance(0.4)); break;
        default: take = alone ? a == lone || b == lone : on_side(a) != on_side(b); break;
      }
      if (!take) continue;
      active.links.emplace_back(a, b);
      if (fault.kind == FaultKind::partial) active.links.emplace_back(b, a);
    }
  }
  if (active.links.empty()) return;
  took_effect(number);
  if (fault.kind == FaultKind::clog) {
    for (const auto& [a, b] : active.links) stage_.network.clog(a, b, fault.until);
    return;
  }
  cut_links(number, true);
  const bool comes_and_goes = fault.kind == FaultKind::isolation && rng.chance(0.5);
  if (fault.kind == FaultKind::flapping || comes_and_goes) flap(number);
}

// A node that follows some other; false if there is none, or if without it and one that is cut off already
// the others might be no quorum.
bool World::draw_follower(Rng& rng, std::uint32_t& slot) const {
  for (std::uint32_t i = 0; i < plan_.size(); ++i) {
    if (plan_[i].kind == FaultKind::isolation && !active_[i].links.empty()) return false;
  }
  if (nodes_.size() < 3) return false;
  std::uint32_t seen = 0;
  for (const auto& node : nodes_) {
    if (node->leader().none() || node->leader() == node->id()) continue;
    if (rng.below(++seen) == 0) slot = node->slot();
  }
  return seen != 0;
}

void World::cut_links(std::uint32_t number, bool cut) {
  Active& active = active_[number];
  if (active.cut == cut) return;
  active.cut = cut;
  for (const auto& [a, b] : active.links) cut ? stage_.network.cut(a, b) : stage_.network.mend(a, b);
}

// The link changes about as fast as an election goes, or much faster.
void World::flap(std::uint32_t number) {
  Active& active = active_[number];
  if (!active.begun || active.links.empty()) return;
  cut_links(number, !active.cut);
  const Duration longest = plan_[number].intensity < 0.5 ? Duration(20ms) : Duration(400ms);
  stage_.queue.push(stage_.now + rng_.between(Duration(1ms), longest),
                    {EventKind::again, nobody, 0, number, {}});
}

void World::go_on(const Event& event) {
  const auto number = static_cast<std::uint32_t>(event.number);
  switch (plan_[number].kind) {
    case FaultKind::isolation:
    case FaultKind::flapping: return flap(number);
    case FaultKind::replacement: return replace(number);
    case FaultKind::snapshot_cut:
      if (event.node == nobody) return join(number);
      if (phase_ != Phase::faults || !nodes_[event.node]->up()) return;
      took_down(number, *nodes_[event.node]);
      return stop_node(*nodes_[event.node], Survival::any, "power loss within a snapshot",
                       rng_.between(Duration(1ms), Duration(200ms)));
    default: return;
  }
}

// Nodes.

Node* World::any_victim(Rng& rng) {
  Node* chosen = nullptr;
  std::uint32_t seen = 0;
  for (auto& node : nodes_) {
    if (is_victim(*node) && !gone(*node) && rng.below(++seen) == 0) chosen = node.get();
  }
  return chosen;
}

void World::node_fault(std::uint32_t number, Rng& rng) {
  const Fault& fault = plan_[number];
  const Duration lasts = fault.insists ? usual_length(fault.kind, rng) : fault.until - fault.from;
  Node* node = destructive(fault.kind) ? any_victim(rng) : any_node(rng, true);
  if (node == nullptr || gone(*node)) return;
  if ((!node->up() || node->halted()) && !strikes_at_rest(fault.kind)) return;
  active_[number].node = node;
  if (!strikes_at_access(fault.kind)) took_effect(number);
  const auto most = stage_.tuning.drift_ppm;
  switch (fault.kind) {
    case FaultKind::pause: node->pause(); break;
    case FaultKind::drift: node->set_speed(rng.chance(0.5) ? most : -most); break;
    case FaultKind::wild_clock:
      // A slow leader believes in its lease too long; fast followers elect another too early.
      node->set_speed(rng.chance(0.5) ? static_cast<std::int64_t>(rng.between(20'000, 2'000'000))
                                      : -static_cast<std::int64_t>(rng.between(20'000, 950'000)));
      break;
    case FaultKind::clock_jump: node->jump(rng.between(Duration(1ms), Duration(1s))); break;
    case FaultKind::kill: stop_node(*node, Survival::cached, "killed", lasts); break;
    case FaultKind::power_loss:
      stop_node(*node, rng.chance(0.8) ? Survival::any : Survival::none, "power loss", lasts);
      break;
    case FaultKind::torn_write: stop_node(*node, Survival::torn, "power loss", lasts); break;
    case FaultKind::reordered_writes: stop_node(*node, Survival::reordered, "power loss", lasts); break;
    case FaultKind::version_skew: change_release(number, true, rng); break;
    case FaultKind::slow_disk: {
      // One disk, or all: nodes may share what is behind them.
      const Duration mean = Duration(1ms) + Duration(static_cast<std::int64_t>(fault.intensity * 2e8));
      active_[number].all_nodes = rng.chance(0.4);
      node->set_sync_time(mean);
      if (!active_[number].all_nodes) break;
      for (auto& each : nodes_) each->set_sync_time(mean);
      break;
    }
    default: disk_fault(number, *node, lasts, rng); break;
  }
}

// One of the two dies, soon after a chunk was sent.
void World::cut_snapshots(std::uint32_t from, std::uint32_t to) {
  if (snapshot_cuts_.empty() || phase_ != Phase::faults || !rng_.chance(0.5)) return;
  const std::uint32_t number = snapshot_cuts_.back();
  snapshot_cuts_.pop_back();
  const std::uint32_t whom = rng_.chance(0.5) ? from : to;
  if (whom >= nodes_.size()) return;
  stage_.queue.push(stage_.now + rng_.between(Duration(0), Duration(4ms)),
                    {EventKind::again, whom, 0, number, {}});
}

// Power is cut at the first node's so many-th storage operation from now.
void World::arm_crash(std::uint64_t operation) {
  if (operation == 0) return;
  crash_victim().disk_faults().arm({.kind = storage::MemoryDisk::FaultKind::power_cut,
                                    .skip = operation - 1,
                                    .number = nobody,
                                    .struck = [this] {
                                      if (++cuts_ == 1) arm_crash(options_.crash->again);
                                    }});
}

// What ambushes do.

void World::stop(Node& node, Survival survival, const char* reason, Duration down) {
  if (phase_ == Phase::faults && !node.halted()) stop_node(node, survival, reason, down);
}

void World::change_members(Node& at, Rng& rng) {
  if (!options_.faults.has(FaultKind::membership)) return;
  auto members = draw_members(rng);
  if (!members) return;
  Env env = at.env();
  at.replica().reconfigure(env, std::move(*members), [](const replica::Outcome<Bytes>&) {});
  at.settle();
}

void World::ask_again(Node& at) {
  if (!wanted_ || !bearable(*wanted_)) return;
  Env env = at.env();
  // The second read can not share with the first what that one waits for.
  for (int reads = 0; reads < 2; ++reads) {
    at.replica().read(env, replicated_log::ReadMode::quorum, [](const replica::Outcome<Index>&) {});
    at.settle();
  }
  at.replica().reconfigure(env, *wanted_, [](const replica::Outcome<Bytes>&) {});
  at.settle();
}

void World::burst(Node& at, unsigned commands) {
  if (phase_ == Phase::faults) clients_->burst(at, commands);
}

void World::hand_over(Node& leader, Rng& rng) {
  if (!options_.faults.has(FaultKind::transfer)) return;
  if (!leader.up() || leader.halted() || leader.paused()) return;
  const Node& to = *nodes_[rng.below(nodes_.size())];
  Env env = leader.env();
  leader.replica().transfer(env, to.id(), [](const replica::Outcome<Bytes>&) {});
  leader.settle();
}

}  // namespace quorate::sim
