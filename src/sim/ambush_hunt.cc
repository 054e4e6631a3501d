// leader_hunt: see ambush.h.
#include <algorithm>

#include "sim/ambush.h"
#include "sim/draw.h"
#include "sim/node.h"

namespace quorate::sim {

namespace {

using Survival = storage::MemoryDisk::Survival;

}  // namespace

void Ambushes::chase(Hunt& hunt, const Node& leader) {
  const std::uint32_t slot = leader.slot();
  std::erase_if(prey_, [&](const Prey& prey) { return prey.number == hunt.number; });
  prey_.push_back({hunt.number, slot, hunt.rng.below(hunt.patience)});
  watching_frames_ = true;
  // Operators have no better timing.
  const std::uint64_t choice = hunt.at_once ? 0 : hunt.rng.below(8);
  if (choice > 2) return;
  const Duration after = choice == 0 ? Duration(0) : log_uniform(hunt.rng, 100us, 25ms);
  later(after, [this, slot, choice, rng = hunt.rng.fork()]() mutable {
    Node& at = powers_->node(slot);
    if (!at.up() || at.halted() || at.paused()) return;
    choice == 2 ? powers_->hand_over(at, rng) : powers_->change_members(at, rng);
  });
}

void Ambushes::strike(std::uint32_t number, std::uint32_t slot, std::uint64_t seed) {
  Rng rng(seed);
  Node& node = powers_->node(slot);
  if (!node.up() || node.halted()) return;
  powers_->took_effect(number);
  const auto hunt = std::ranges::find(hunts_, number, &Hunt::number);
  if (hunt != hunts_.end() && hunt->relay) return take_turns(*hunt, slot, rng.fork());
  const Duration lasts = log_uniform(rng, 20ms, 1200ms);
  const std::uint64_t one = std::uint64_t{1} << rng.below(powers_->node_count());
  if (rng.chance(0.25)) burst(slot, rng);
  switch (rng.below(8)) {
    case 0: cut_for(links_of(slot, Side::both, 0), lasts); break;
    case 1: cut_for(links_of(slot, Side::both, one), lasts); break;
    case 2: cut_for(links_of(slot, Side::both, rng.next()), lasts); break;
    case 3: cut_for(links_of(slot, Side::outgoing, rng.chance(0.5) ? one : 0), lasts); break;
    case 4: cut_for(links_of(slot, Side::incoming, rng.chance(0.5) ? one : 0), lasts); break;
    case 5: powers_->stop(node, Survival::cached, "killed", lasts); break;
    case 6: powers_->stop(node, Survival::none, "power loss", lasts); break;
    default: sleep(slot, rng); break;
  }
}

// What it takes on now, nobody else hears of.
void Ambushes::burst(std::uint32_t slot, Rng& rng) {
  const auto commands = static_cast<unsigned>(log_uniform(rng, Duration(1), Duration(40)).count());
  later(Duration(100us), [this, slot, commands] {
    Node& at = powers_->node(slot);
    if (at.up() && !at.halted() && !at.paused()) powers_->burst(at, commands);
  });
}

// Logs part: each leader takes on what nobody else hears of, and goes while it mends the log of another. That
// one may hear of nobody but a former leader from then on, whose log says something else.
void Ambushes::take_turns(Hunt& hunt, std::uint32_t slot, Rng rng) {
  const bool another = !hunt.cut.empty() && hunt.away != slot;
  const std::uint32_t former = hunt.away;
  come_back(hunt);
  if (rng.chance(0.5)) burst(slot, rng);
  if (another && rng.chance(0.5)) {
    const std::uint64_t one = std::uint64_t{1} << rng.below(powers_->node_count());
    cut_for(links_of(former, Side::both, one), log_uniform(rng, 300ms, 2s));
  }
  hunt.away = slot;
  hunt.cut = links_of(slot, Side::both, 0);
  for (const auto& [from, to] : hunt.cut) stage_->network.cut(from, to);
  later(log_uniform(rng, 300ms, 1500ms), [this, number = hunt.number, turn = hunt.turn] {
    const auto at = std::ranges::find(hunts_, number, &Hunt::number);
    if (at != hunts_.end() && at->turn == turn) come_back(*at);
  });
}

void Ambushes::come_back(Hunt& hunt) {
  ++hunt.turn;
  for (const auto& [from, to] : std::exchange(hunt.cut, {})) stage_->network.mend(from, to);
}

}  // namespace quorate::sim
