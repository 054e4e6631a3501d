// Faults that are to be in effect together, and for how long a fault is.
#include <algorithm>

#include "sim/world.h"

namespace quorate::sim {

namespace {

using Survival = storage::MemoryDisk::Survival;

// What is over when the node has started again.
bool is_death(FaultKind kind) {
  switch (kind) {
    case FaultKind::kill:
    case FaultKind::power_loss:
    case FaultKind::torn_write:
    case FaultKind::reordered_writes:
    case FaultKind::power_cut:
    case FaultKind::full_disk:
    case FaultKind::io_error:
    case FaultKind::failed_sync:
    case FaultKind::failed_directory_sync:
    case FaultKind::crash_after_send:
    case FaultKind::snapshot_cut: return true;
    default: return false;
  }
}

}  // namespace

// Each time it begins it draws anew.
Rng World::draws_of(std::uint32_t number) const {
  return Rng(plan_[number].seed + std::uint64_t{active_[number].tries} * 0x9e3779b97f4a7c15U);
}

// A disk may go wrong only after its fault's time: then it counts for that moment.
void World::took_effect(std::uint32_t number) {
  stage_.coverage.began(number, plan_[number].kind);
  if (!active_[number].begun) stage_.coverage.ended(number);
}

void World::took_down(std::uint32_t number, Node& node) {
  if (phase_ != Phase::faults || !node.up() || node.halted()) return;
  active_[number].node = &node;
  took_effect(number);
}

// What came to nothing, or was over before the other came, is begun once more.
void World::insist(std::uint32_t number) {
  constexpr std::uint32_t most_tries = 60;
  Active& active = active_[number];
  if (phase_ != Phase::faults || !active.begun || active.tries == most_tries) return;
  const FaultKind kind = plan_[number].kind;
  const FaultSet met = stage_.coverage.overlaps().met[static_cast<std::size_t>(kind)];
  if (std::ranges::all_of(plan_, [&](const Fault& other) {
        return !other.insists || other.kind == kind || met.has(other.kind);
      }))
    return;
  ++active.tries;
  if (stage_.coverage.in_effect(number)) {
    stage_.queue.push(stage_.now + 25ms, {EventKind::insist, nobody, 0, number, {}});
    return;
  }
  end_fault(number);
  if (active.node != nullptr) active.node->disk_faults().disarm(number);
  begin_fault(number);
}

void World::restart_all(std::uint32_t number, Rng& rng) {
  took_effect(number);
  // One that takes longer leaves the others time to go on before all are back.
  const bool late = plan_[number].insists;
  const std::uint64_t last = late ? rng.below(nodes_.size()) : nodes_.size();
  for (auto& node : nodes_) {
    const Duration longest = !late ? 300ms : node->slot() == last ? 1200ms : 60ms;
    stop_node(*node, Survival::any, "power loss", rng.between(Duration(1ms), longest));
  }
}

void World::deaths_end(const Node& started) {
  const bool all_up =
      std::ranges::all_of(nodes_, [&](const auto& node) { return node->up() || gone(*node); });
  for (std::uint32_t i = 0; i < plan_.size(); ++i) {
    const bool its = active_[i].node == &started && is_death(plan_[i].kind);
    if (its || (all_up && plan_[i].kind == FaultKind::restart_all)) stage_.coverage.ended(i);
  }
}

// A process that dies stands still no more.
void World::pauses_end(const Node& stopped) {
  for (std::uint32_t i = 0; i < plan_.size(); ++i) {
    if (active_[i].node == &stopped && plan_[i].kind == FaultKind::pause) stage_.coverage.ended(i);
  }
}

}  // namespace quorate::sim
