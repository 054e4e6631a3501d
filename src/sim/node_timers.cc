// A simulated node's clock and its replica's timers, which go by it.
#include <algorithm>

#include "sim/node.h"

namespace quorate::sim {

void Node::set_timer(TimerId id, Instant at) {
  for (Timer& timer : timers_) {
    if (timer.id != id) continue;
    timer.at = at;
    return arm(timer);
  }
  timers_.push_back({id, 0, at});
  arm(timers_.back());
}

void Node::cancel_timer(TimerId id) {
  for (Timer& timer : timers_) {
    if (timer.id == id) timer.stamp = 0;
  }
}

void Node::arm(Timer& timer) {
  timer.stamp = ++stage_->stamps;
  const Moment at = std::max(stage_->now, clock_.when(timer.at));
  stage_->queue.push(at, {EventKind::timer, slot_, timer.stamp, timer.id.value, {}});
}

void Node::rearm_timers() {
  for (Timer& timer : timers_) {
    if (timer.stamp != 0) arm(timer);
  }
}

void Node::fire(TimerId id, std::uint64_t stamp) {
  for (Timer& timer : timers_) {
    if (timer.stamp != stamp) continue;
    timer.stamp = 0;
    Env now = env();
    return replica_->timer(now, id);
  }
}

void Node::set_speed(std::int64_t ppm) {
  clock_.set_speed(stage_->now, ppm);
  rearm_timers();
}

void Node::jump(Duration by) {
  clock_.jump(stage_->now, by);
  rearm_timers();
}

}  // namespace quorate::sim
