// What must follow when all is healed, and the books that are checked at the end.
#include <algorithm>

#include <fmt/format.h>

#include "check/bounded_staleness.h"
#include "check/linearizability.h"
#include "check/session.h"
#include "check/witness.h"
#include "sim/world.h"

namespace quorate::sim {

namespace {

constexpr Duration progress_interval = 10ms;  // between looks at how far recovery is
constexpr Duration quiet_bound = 10s;         // for all members to reach the same index once clients rest
constexpr Duration workload_bound = 60s;      // for the clients to issue what is left after healing
constexpr std::uint64_t search_budget = 3'000'000;

}  // namespace

void World::begin_recovery() {
  enter(Phase::recovery, "recovery");
  healed_at_ = recovered_at_ = committed_at_ = stage_.now;
  committed_before_ = stage_.checks.last_committed();
  clients_->hurry();
  for (const auto& node : nodes_) {
    if (node->up() && node->leader() == node->id()) leader_ = node->slot();
  }
  for (std::uint32_t i = 0; i < plan_.size(); ++i) end_fault(i);
  ambushes_.over();
  stage_.network.heal();
  for (auto& node : nodes_) {
    if (!options_.crash) node->disk_faults().disarm();
    node->set_sync_time(stage_.tuning.sync_time);
    if (node->up()) {
      node->resume();
      if (node->halted() && node->up()) look_after(*node);
    }
    if (!node->up() && !gone(*node))
      stage_.queue.push(stage_.now + 1ms, {EventKind::restart, node->slot(), 0, 0, {}});
  }
  stage_.queue.push(stage_.now + progress_interval, {EventKind::phase, 0, 0, 1, {}});
}

void World::check_progress() {
  if (phase_ == Phase::recovery && options_.damaged_majority && !whole_quorum()) {
    judge_waiting();
  } else if (phase_ == Phase::recovery) {
    waiting_.reset();
    const Duration since = stage_.now - healed_at_;
    const bool committed = stage_.checks.last_committed() != committed_before_;
    if (committed && committed_at_ == healed_at_) committed_at_ = stage_.now;
    if (!committed && since > options_.commit_bound)
      return stands_still(
          "liveness", fmt::format("{} ms after healing nothing was committed", since.count() / 1'000'000));
    const auto all = members();
    for (Node* node : all) clients_->demand(*node);
    const bool served = std::ranges::all_of(all, [&](const Node* node) { return clients_->met(*node); });
    if (served && recovered_at_ == healed_at_) {
      recovered_at_ = stage_.now;
      judge_leadership();
    }
    if (served && clients_->spent()) {
      after_recovery();
    } else if (recovered_at_ == healed_at_ && since > recovery_bound()) {
      return stands_still("liveness", fmt::format("{} ms after healing: {}", since.count() / 1'000'000,
                                                  clients_->unmet(all)));
    } else if (since > workload_bound) {
      stage_.checks.fail("liveness", "the clients do not come to an end");
    }
  } else if (phase_ == Phase::trial) {
    continue_trial();
  } else if (phase_ == Phase::quiet) {
    bool equal = clients_->idle() && (!companion_ || companion_->idle());
    const auto all = members();
    for (Node* node : all)
      equal = equal && node->up() && node->replica().applied() == stage_.checks.last_committed();
    if (equal) return enter(Phase::over, "over");
    if (stage_.now - quiet_since_ > quiet_bound) {
      std::string text;
      for (Node* node : all) {
        text +=
            fmt::format(" node {} at {}", node->id().value, node->up() ? node->replica().applied().value : 0);
      }
      return stands_still("convergence",
                          fmt::format("index {} is committed, but{}{}", stage_.checks.last_committed().value,
                                      text, clients_->idle() ? "" : "; an operation never ended"));
    }
  }
  stage_.queue.push(stage_.now + progress_interval, {EventKind::phase, 0, 0, 1, {}});
}

// In some runs a trial. (That of a partition is drawn apart, so that the other numbers of a seed stay what
// they were.)
void World::after_recovery() {
  if (options_.damaged_majority) return rest();
  constexpr double trials = 0.3;
  constexpr double partitions = 0.2;  // of the others
  if (options_.lasting) return begin_trial(Trial::Kind::parted);
  if (options_.behind && options_.leaders) return begin_trial(Trial::Kind::behind);
  if (rng_.chance(trials)) return begin_trial(draw_trial());
  if (Rng(seed_ ^ 0x4c41'5354).chance(partitions)) return begin_trial(Trial::Kind::parted);
  rest();
}

// Whose log was damaged is brought all of it, an entry at a time in some runs.
Duration World::recovery_bound() const { return options_.recovery_bound * (stage_.rejoined == 0 ? 1 : 2); }

void World::rest() {
  clients_->stop();
  if (companion_) companion_->stop();
  quiet_since_ = stage_.now;
  enter(Phase::quiet, "quiet");
}

void World::final_checks() {
  const auto level = waits_ ? std::vector<Node*>() : members();
  for (Node* node : level) {
    stage_.checks.final_state(node->id(), node->replica().applied());
    node->must_know_as_removed(stage_.checks.former_members());
  }
  if (companion_) companion_->final_checks();
  const auto history = clients_->judged();
  // More than linearizability asks, and decided at once: a read that went wrong may by chance see the right
  // value.
  if (auto finding = check::check_bounded_staleness(history, 0); !finding.ok()) {
    stage_.checks.fail("fresh reads", finding.explanation);
  }
  if (!check::witnessed(history)) {
    const auto finding = check::check_linearizable(history, search_budget);
    if (!finding.ok()) stage_.checks.fail("linearizability", finding.explanation);
  }
  if (auto finding = check::check_monotonic_reads(history); !finding.ok()) {
    stage_.checks.fail("monotonic reads", finding.explanation);
  }
  if (auto finding = check::check_read_your_writes(history); !finding.ok()) {
    stage_.checks.fail("read your writes", finding.explanation);
  }
}

}  // namespace quorate::sim
