// How each fault is done and undone.
#include <algorithm>

#include <fmt/format.h>

#include "sim/world.h"

namespace quorate::sim {

namespace {
using Survival = storage::MemoryDisk::Survival;
using DiskFault = storage::MemoryDisk::FaultKind;

// Done to what lies on the disk, whether a process runs or not.
bool strikes_at_rest(FaultKind kind) {
  return kind == FaultKind::bit_flip || kind == FaultKind::lost_file || kind == FaultKind::misdirected_read ||
         kind == FaultKind::stale_read;
}

// Takes effect later than it begins: at an access to the disk, if there is one.
bool strikes_at_access(FaultKind kind) {
  return kind >= FaultKind::power_cut && kind <= FaultKind::lost_file && kind != FaultKind::restart_all &&
         kind != FaultKind::slow_disk;
}
}  // namespace

void World::begin_fault(std::uint32_t number) {
  if (phase_ != Phase::faults) return;
  const Fault& fault = plan_[number];
  Rng rng(fault.seed);
  if (stage_.trace != nullptr)
    Trace::Line(*stage_.trace, stage_.now, "fault").field("what", to_string(fault));
  active_[number].begun = true;
  if (is_ambush(fault.kind)) return ambushes_.begin(number, fault);
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
    case FaultKind::flapping: return cut_network(number, rng);
    case FaultKind::membership: return change_membership(number, rng);
    case FaultKind::transfer: return transfer_leadership(number, rng);
    case FaultKind::restart_all:
      took_effect(number);
      for (auto& node : nodes_)
        stop_node(*node, Survival::any, "power loss", rng.between(Duration(1ms), Duration(300ms)));
      return;
    default: return node_fault(number, rng);
  }
}

// A disk may go wrong only after its fault's time: then it counts for that moment.
void World::took_effect(std::uint32_t number) {
  stage_.coverage.began(number, plan_[number].kind);
  if (!active_[number].begun) stage_.coverage.ended(number);
}

void World::end_fault(std::uint32_t number) {
  Active& active = active_[number];
  if (!active.begun) return;
  active.begun = false;
  const Fault& fault = plan_[number];
  const bool ends_itself = fault.kind == FaultKind::membership || fault.kind == FaultKind::transfer;
  if (!ends_itself) stage_.coverage.ended(number);
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
      fault.kind == FaultKind::failed_sync) {
    node.disk_faults().disarm(number);
  }
  if (fault.kind == FaultKind::wild_clock) node.set_speed(0);
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
  const auto lone = static_cast<std::uint32_t>(rng.below(count));
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
  if (fault.kind == FaultKind::flapping) flap(number);
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
                    {EventKind::phase, 0, 0, number + 1ULL, {}});
}

// Nodes.

void World::node_fault(std::uint32_t number, Rng& rng) {
  const Fault& fault = plan_[number];
  const Duration lasts = fault.until - fault.from;
  Node* node = destructive(fault.kind) ? any_victim(rng) : any_node(rng, true);
  if (node == nullptr || node->silent_loss()) return;
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
    case FaultKind::kill: stop_node(*node, Survival::all, "killed", lasts); break;
    case FaultKind::power_loss:
      stop_node(*node, rng.chance(0.8) ? Survival::any : Survival::none, "power loss", lasts);
      break;
    case FaultKind::slow_disk: {
      // One disk, or all: nodes may share what is behind them.
      const Duration mean = Duration(1ms) + Duration(static_cast<std::int64_t>(fault.intensity * 2e8));
      active_[number].all_nodes = rng.chance(0.4);
      node->set_sync_time(mean);
      if (!active_[number].all_nodes) break;
      for (auto& each : nodes_) each->set_sync_time(mean);
      break;
    }
    default: disk_fault(number, *node, rng); break;
  }
}

void World::disk_fault(std::uint32_t number, Node& node, Rng& rng) {
  const Fault& fault = plan_[number];
  DiskFaults::Armed armed{.number = number, .struck = [this, number] { took_effect(number); }};
  const auto distance = [&rng] {
    return rng.chance(0.5) ? 512 * rng.between(1, 40) : rng.between(1, 20'000);
  };
  switch (fault.kind) {
    case FaultKind::power_cut:
      armed.kind = DiskFault::power_cut;
      armed.skip = rng.below(6);
      break;
    case FaultKind::full_disk:
      armed.kind = DiskFault::full;
      armed.lasting = true;
      break;
    case FaultKind::io_error:
      armed.kind = DiskFault::io_error;
      armed.lasting = fault.intensity < 0.3;
      if (!armed.lasting) armed.skip = rng.below(6);
      break;
    case FaultKind::failed_sync:
      armed.kind = DiskFault::failed_sync;
      armed.skip = rng.below(3);
      break;
    case FaultKind::misdirected_write:
      armed.kind = DiskFault::misdirected;
      armed.skip = rng.below(6);
      armed.detail = distance();
      break;
    case FaultKind::lost_write:
      armed.kind = DiskFault::lost;
      armed.skip = rng.below(6);
      break;
    case FaultKind::misdirected_read:
    case FaultKind::stale_read:
      stop_node(node, Survival::all, "killed", fault.until - fault.from);
      armed.kind = fault.kind == FaultKind::stale_read ? DiskFault::stale : DiskFault::misdirected;
      armed.reads = true;
      armed.skip = rng.below(8);
      armed.detail = distance();
      break;
    default: return damage_at_rest(number, node, rng);
  }
  node.disk_faults().arm(std::move(armed));
}

void World::damage_at_rest(std::uint32_t number, Node& node, Rng& rng) {
  const Fault& fault = plan_[number];
  stop_node(node, Survival::all, "killed", fault.until - fault.from);
  auto files = node.disk().list();
  if (!files || files->empty()) return;
  const std::string name = (*files)[rng.below(files->size())];
  if (fault.kind == FaultKind::lost_file) {
    node.disk_faults().tamper();
    if (!node.disk().remove(name) || !node.disk().sync_directory()) return;
  } else if (const auto size = node.disk().contents(name).size(); size != 0) {
    // Most of a preallocated file is empty: aim at its front as often as anywhere.
    const std::uint64_t reach = rng.chance(0.7) ? std::min<std::uint64_t>(size, 3000) : size;
    const std::uint64_t offset = rng.below(reach);
    node.disk_faults().flip();
    node.disk().flip_bit(name, offset, static_cast<unsigned>(rng.below(8)));
  }
  took_effect(number);
}

// Operators.

// True if the nodes whose disks may be damaged are a minority of the voters.
bool World::bearable(const std::vector<Member>& members) const {
  std::uint32_t voters = 0;
  std::uint32_t bad = 0;
  for (const Member& member : members) {
    if (member.role != Role::voter) continue;
    ++voters;
    if (is_victim(*nodes_.at(member.id.value - 1))) ++bad;
  }
  return voters != 0 && bad <= (voters - 1) / 2;
}

Node* World::add_node() {
  if (nodes_.size() == most_nodes) return nullptr;
  const auto slot = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back(std::make_unique<Node>(stage_, slot, NodeId(slot + 1), Membership{}));
  start_node(*nodes_.back());
  return nodes_.back().get();
}

std::optional<std::vector<Member>> World::draw_members(Rng& rng) {
  std::vector<Member> members = membership().members;
  const std::uint64_t changes = rng.chance(0.6) ? 1 : rng.between(2, 4);
  for (std::uint64_t i = 0; i < changes; ++i) {
    const std::uint64_t choice = rng.below(10);
    if (choice < 4 && members.size() < 7) {
      Node* fresh = add_node();
      if (fresh != nullptr)
        members.push_back({fresh->id(), rng.chance(0.6) ? Role::voter : Role::learner, {}});
    } else if (choice < 7 && members.size() > 1) {
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(rng.below(members.size())));
    } else if (choice < 9 && !members.empty()) {
      auto& member = members[rng.below(members.size())];
      member.role = member.role == Role::voter ? Role::learner : Role::voter;
    } else {
      // One that was removed comes back, with what it had.
      Node* former = any_node(rng, true);
      if (former != nullptr && std::ranges::find(members, former->id(), &Member::id) == members.end()) {
        members.push_back({former->id(), Role::voter, {}});
      }
    }
  }
  std::ranges::sort(members, {}, &Member::id);
  if (!bearable(members)) return std::nullopt;
  return members;
}

// In effect from the moment it is asked for until it has an outcome.
void World::change_membership(std::uint32_t number, Rng& rng) {
  auto members = draw_members(rng);
  Node* node = any_node(rng, true);
  if (!members || node == nullptr || node->paused()) return;
  took_effect(number);
  Env env = node->env();
  node->replica().reconfigure(env, std::move(*members), [this, number](const replica::Outcome<Bytes>&) {
    stage_.coverage.ended(number);
  });
  node->settle();
}

void World::transfer_leadership(std::uint32_t number, Rng& rng) {
  Node* node = any_node(rng, true);
  Node* to = any_node(rng, false);
  if (node == nullptr || node->paused()) return;
  took_effect(number);
  Env env = node->env();
  node->replica().transfer(env, to->id(),
                           [this, number](const replica::Outcome<Bytes>&) { stage_.coverage.ended(number); });
  node->settle();
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

void World::hand_over(Node& leader, Rng& rng) {
  if (!options_.faults.has(FaultKind::transfer)) return;
  if (!leader.up() || leader.halted() || leader.paused()) return;
  const Node& to = *nodes_[rng.below(nodes_.size())];
  Env env = leader.env();
  leader.replica().transfer(env, to.id(), [](const replica::Outcome<Bytes>&) {});
  leader.settle();
}

}  // namespace quorate::sim
