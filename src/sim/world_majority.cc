// Damage of more disks than a quorum can bear, as an option. What must hold then: whatever is answered and
// committed is judged as ever; a node goes on only with what it can prove to hold, or says that it lacks
// something and abstains, or refuses to start; and where no quorum is left that is whole, all wait.
#include <algorithm>

#include <fmt/format.h>

#include "check/electorate.h"
#include "sim/world.h"

namespace quorate::sim {

namespace {

constexpr Duration stillness = 1500ms;  // in which somebody would have been elected, or answered
constexpr Duration calm_bound = 10s;  // for all to come to rest: leaders that step down, operations under way

}  // namespace

// Most of the nodes there are at first, or all there will ever be. (Drawn apart, so that the other numbers of
// a seed are those of an ordinary run.)
void World::draw_victims(std::uint32_t count) {
  Rng rng(seed_ ^ 0x4d41'4a4f'5249);
  victims_ = ~std::uint32_t{0};
  if (rng.chance(0.5)) return;
  const std::uint64_t spared = rng.below((count + 1) / 2);
  for (std::uint64_t i = 0; i < spared; ++i) victims_ &= ~(1U << rng.below(count));
}

// Whether somebody could be elected, or a quorum of acceptors is there. Else nobody can know what was
// committed.
bool World::whole_quorum() const {
  if (options_.leaders) {
    return std::ranges::any_of(
        nodes_, [&](const auto& node) { return check::could_lead(stage_.checks.copies(), node->id()); });
  }
  check::NodeSet there = 0;
  for (const auto& node : nodes_) {
    if (!gone(*node)) there |= check::set_of(node->id());
  }
  return check::is_quorum(membership(), there);
}

// A leader of a later term may still be in office, and bring a majority what it lost: that is not waiting.
// Progress is due from when it is possible again.
void World::judge_waiting() {
  if (recovered_at_ == healed_at_) {
    healed_at_ = recovered_at_ = committed_at_ = stage_.now;
    committed_before_ = stage_.checks.last_committed();
  }
  const Index committed = stage_.checks.last_committed();
  const std::uint64_t answered = clients_->acknowledged();
  if (!waiting_) waiting_ = {stage_.now, stage_.now, committed, answered};
  if (waiting_->committed != committed || waiting_->answered != answered)
    waiting_ = {waiting_->begun, stage_.now, committed, answered};
  const bool settled =
      std::ranges::all_of(nodes_, [&](const auto& node) { return node->up() || gone(*node); });
  if (settled && stage_.now - waiting_->since > stillness) return all_wait();
  if (stage_.now - waiting_->begun > calm_bound)
    stage_.checks.fail("refusal",
                       fmt::format("no quorum is whole, and after {} ms {}", calm_bound.count() / 1'000'000,
                                   settled ? "commands are still answered" : "a node is not back"));
}

// Progress that is due and does not come. Which configuration holds for the next slot of a log without
// leaders only its nodes know: there a node that is gone may be one too many.
void World::stands_still(const char* property, std::string what) {
  if (options_.damaged_majority && !options_.leaders && written_off_ != 0) return all_wait();
  stage_.checks.fail(property, std::move(what));
}

// Nobody goes on as if nothing had happened.
void World::all_wait() {
  for (const auto& node : nodes_) {
    if (!node->up()) continue;
    if (options_.leaders && node->leader() == node->id())
      stage_.checks.fail("refusal",
                         fmt::format("node {} leads, though no quorum is whole", node->id().value));
    if (stage_.checks.copies().abstains(node->id()) && !node->replica().rejoining())
      stage_.checks.fail("refusal",
                         fmt::format("node {} lacks what it lost, and does not say so", node->id().value));
  }
  waits_ = true;
  clients_->stop();
  if (companion_) companion_->stop();
  enter(Phase::over, "over: all wait");
}

}  // namespace quorate::sim
