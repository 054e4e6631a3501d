#include "sim/skeptic.h"

#include "sim/ambush.h"
#include "sim/draw.h"
#include "sim/node.h"

namespace quorate::sim {

namespace {
constexpr unsigned most_times = 12;  // after each election
constexpr unsigned fresh_times = 4;
}  // namespace

void Skeptic::elected() {
  if (!stage_->options.leaders) return;
  left_ = most_times;
  fresh_ = fresh_times;
  if (!waiting_) again(Duration(0));
}

void Skeptic::due() {
  waiting_ = false;
  bool found = false;
  for (std::uint32_t slot = 0; slot < powers_->node_count(); ++slot) {
    Node& node = powers_->node(slot);
    if (!leads(node)) continue;
    if (doubtful(node)) {
      found = true;
      ask(node);
    } else if (fresh_ != 0) {
      ask(node);
    }
  }
  if (fresh_ != 0) --fresh_;
  if ((found || fresh_ != 0) && left_ != 0) again(log_uniform(rng_, 200us, fresh_ != 0 ? 20ms : 60ms));
}

void Skeptic::woke(Node& node) {
  if (leads(node) && doubtful(node)) ask(node);
}

bool Skeptic::leads(Node& node) {
  return node.up() && !node.halted() && !node.paused() && node.leader() == node.id();
}

bool Skeptic::doubtful(Node& node) const { return node.epoch() < stage_->checks.latest_epoch(); }

void Skeptic::ask(Node& node) {
  Env env = node.env();
  for (const auto mode : {replicated_log::ReadMode::lease, replicated_log::ReadMode::quorum}) {
    // Where no client rests on a lease, clocks may do what leases do not bear.
    if (mode == replicated_log::ReadMode::lease && stage_->tuning.lease_reads == 0) continue;
    node.replica().read(env, mode, [](const replica::Outcome<Index>&) {});
  }
  node.gather();
  node.settle();
}

void Skeptic::again(Duration after) {
  --left_;
  waiting_ = true;
  stage_->queue.push(stage_->now + after, {EventKind::skeptic, 0, 0, 0, {}});
}

}  // namespace quorate::sim
