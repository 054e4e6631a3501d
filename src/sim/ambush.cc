#include "sim/ambush.h"

#include <algorithm>
#include <bit>

#include "sim/draw.h"
#include "sim/node.h"

namespace quorate::sim {

namespace {

using Survival = storage::MemoryDisk::Survival;

}  // namespace

// Acts happen between the steps of nodes, never within one.
void Ambushes::later(Duration after, std::function<void()> act) {
  acts_.emplace(next_act_, std::move(act));
  stage_->queue.push(stage_->now + after, {EventKind::ambush, 0, 0, next_act_++, {}});
}

void Ambushes::due(std::uint64_t number) {
  auto act = acts_.extract(number);
  if (act) act.mapped()();
}

void Ambushes::begin(std::uint32_t number, FaultKind kind, Rng rng) {
  switch (kind) {
    case FaultKind::leader_hunt: {
      static constexpr std::uint64_t patience[] = {2, 6, 15, 40, 120, 400};
      const std::uint64_t most = patience[rng.below(std::size(patience))];
      hunts_.push_back({number, rng.fork(), most, rng.chance(0.2), rng.chance(0.25)});
      if (const Node* now = leader()) chase(hunts_.back(), *now);
      break;
    }
    case FaultKind::hold_back: hold_back(number, rng); break;
    case FaultKind::crash_after_send: {
      const auto frames = seen_kind(rng);
      const auto times = static_cast<unsigned>(rng.between(1, 8));
      tripwires_.push_back({number, rng, frames, times});
      break;
    }
    case FaultKind::usurper: usurp(number, rng); break;
    case FaultKind::sleeping_leader:
      if (const Node* now = leader()) {
        powers_->took_effect(number);
        sleep(now->slot(), rng);
      }
      break;
    case FaultKind::deaf_leader:
      if (const Node* now = leader()) {
        powers_->took_effect(number);
        deafen(now->slot(), rng);
      }
      break;
    case FaultKind::late_bridge:
      powers_->took_effect(number);
      bridge(rng);
      break;
    default: break;
  }
  watching_frames_ = !prey_.empty() || !holds_.empty() || !tripwires_.empty();
}

void Ambushes::end(std::uint32_t number) {
  const auto is = [&](const auto& each) { return each.number == number; };
  for (Hunt& hunt : hunts_) {
    if (is(hunt)) come_back(hunt);
  }
  std::erase_if(hunts_, is);
  std::erase_if(prey_, is);
  std::erase_if(tripwires_, is);
  std::erase_if(usurpers_, is);
  for (Hold& hold : holds_) {
    if (is(hold)) release(hold, true);
  }
  std::erase_if(holds_, is);
  watching_frames_ = !prey_.empty() || !holds_.empty() || !tripwires_.empty();
}

void Ambushes::over() {
  acts_.clear();
  hunts_.clear();
  prey_.clear();
  tripwires_.clear();
  usurpers_.clear();
  deaf_.clear();
  for (Hold& hold : holds_) release(hold, true);
  holds_.clear();
  watching_frames_ = false;
}

// What the nodes do.

bool Ambushes::sends(const Node& from, std::uint32_t to, const Bytes& frame, std::uint64_t stamp) {
  const FrameKind kind = frame_kind(frame, !stage_->options.leaders);
  kinds_seen_ |= std::uint64_t{1} << kind;
  if (!watching_frames_) return false;
  const std::uint32_t slot = from.slot();
  for (auto it = prey_.begin(); it != prey_.end(); ++it) {
    if (it->slot != slot || it->left-- != 0) continue;
    const std::uint64_t seed = stage_->network.rng().next();
    later(Duration(0), [this, number = it->number, slot, seed] { strike(number, slot, seed); });
    prey_.erase(it);
    break;
  }
  for (Tripwire& wire : tripwires_) {
    if (wire.kind != kind || wire.left == 0 || !wire.rng.chance(0.2)) continue;
    --wire.left;
    const Duration down = log_uniform(wire.rng, 500us, 250ms);
    later(Duration(0), [this, number = wire.number, slot, down] {
      Node& node = powers_->node(slot);
      powers_->took_down(number, node);
      powers_->stop(node, Survival::none, "power loss", down);
    });
  }
  for (Hold& hold : holds_) {
    const std::uint8_t most = hold.copies ? 16 : 64;
    const bool wanted = (hold.kinds >> kind & 1U) != 0 && (hold.senders >> slot & 1U) != 0;
    if (!wanted || hold.count[kind] == most) continue;
    ++hold.count[kind];
    powers_->took_effect(hold.number);
    hold.held.push_back({EventKind::deliver, to, stamp, from.id().value, frame});
    return !hold.copies;
  }
  return false;
}

void Ambushes::sees_leader(const Node& node) {
  if (node.leader() == node.id()) {
    for (Hunt& hunt : hunts_) chase(hunt, node);
    for (Deaf& deaf : std::exchange(deaf_, {})) {
      if (deaf.slot != node.slot()) succeeded(std::move(deaf), node.slot());
    }
    for (Hold& hold : holds_) {
      if (hold.again) {
        release_to(hold, node.slot());
      } else if (hold.rng.chance(0.7)) {
        release(hold, false);
      }
    }
  } else if (node.leader().none()) {
    const auto it = std::ranges::find(usurpers_, node.slot(), &Usurper::usurper);
    if (it == usurpers_.end()) return;
    Usurper usurper = *it;
    usurpers_.erase(it);
    const Duration after = usurper.rng.chance(0.5) ? Duration(0) : Duration(1ms);
    later(after, [this, usurper] { usurped(usurper); });
  }
}

// sleeping_leader.

void Ambushes::sleep(std::uint32_t slot, Rng rng) {
  Duration until = rng.between(Duration(0), Duration(4ms));
  if (rng.chance(0.3) && !powers_->node(slot).paused()) powers_->hand_over(powers_->node(slot), rng);
  later(until, [this, slot] {
    Node& node = powers_->node(slot);
    if (node.up()) node.pause();
  });
  // What is under way when it falls asleep still arrives: answers to what it sent before.
  until += rng.between(Duration(0), Duration(8ms));
  const Duration lasts = log_uniform(rng, 100ms, 800ms);
  const Duration deaf = lasts + rng.between(Duration(0), Duration(80ms));
  const std::uint64_t spared = rng.chance(0.3) ? std::uint64_t{1} << rng.below(powers_->node_count()) : 0;
  later(until, [this, slot, spared, deaf] { cut_for(links_of(slot, Side::incoming, spared), deaf); });
  later(until + lasts, [this, slot] {
    Node& node = powers_->node(slot);
    if (node.up()) node.resume();
  });
}

// deaf_leader.

void Ambushes::deafen(std::uint32_t slot, Rng rng) {
  const Duration after = rng.between(Duration(0), Duration(3ms));
  const Duration deaf = log_uniform(rng, 60ms, 500ms);
  const Side side = rng.chance(0.7) ? Side::incoming : Side::both;
  if (rng.chance(0.7)) {
    powers_->hand_over(powers_->node(slot), rng);
  } else {  // what its followers promised it must outlive them
    for (std::uint32_t other = 0; other < powers_->node_count(); ++other) {
      if (other != slot && rng.chance(0.7))
        powers_->stop(powers_->node(other), Survival::cached, "killed", log_uniform(rng, 100us, 4ms));
    }
  }
  later(after, [this, slot, side, deaf] { cut_for(links_of(slot, side, 0), deaf); });
  if (rng.chance(0.5)) deaf_.push_back({slot, rng.fork()});
}

// Both may propose the same in the same place, and those that start again do not remember who did.
void Ambushes::succeeded(Deaf deaf, std::uint32_t successor) {
  Rng& rng = deaf.rng;
  const auto works = [](Node& node) { return node.up() && !node.halted() && !node.paused(); };
  later(Duration(0), [this, works, successor, draws = rng.fork()]() mutable {
    if (works(powers_->node(successor))) powers_->change_members(powers_->node(successor), draws);
  });
  const Duration repeated = log_uniform(rng, 3ms, 60ms);
  later(repeated, [this, works, slot = deaf.slot] {
    if (works(powers_->node(slot))) powers_->ask_again(powers_->node(slot));
  });
  auto stop_others = [this, deaf]() mutable {  // copied before the next draw, whatever the compiler's order
    for (std::uint32_t other = 0; other < powers_->node_count(); ++other) {
      if (other != deaf.slot && deaf.rng.chance(0.8))
        powers_->stop(powers_->node(other), Survival::cached, "killed", log_uniform(deaf.rng, 100us, 4ms));
    }
  };
  later(repeated + log_uniform(rng, 1ms, 40ms), std::move(stop_others));
}

// late_bridge.

void Ambushes::bridge(Rng rng) {
  const auto count = powers_->node_count();
  const auto middle = static_cast<std::uint32_t>(rng.below(count));
  const Duration away = log_uniform(rng, 50ms, 800ms);
  const Duration lasts = log_uniform(rng, 300ms, 2s);
  cut_for(links_of(middle, Side::both, 0), away);
  Links others;
  for (std::uint32_t a = 0; a < count; ++a) {
    for (std::uint32_t b = 0; b < count; ++b) {
      if (a != b && a != middle && b != middle) others.emplace_back(a, b);
    }
  }
  // A moment in which all can talk, or one in which none can.
  const Duration gap = rng.between(Duration(0), Duration(30ms));
  later(rng.chance(0.5) ? away + gap : away - std::min(away, gap),
        [this, lasts, others = std::move(others)] { cut_for(others, lasts); });
}

// usurper.

void Ambushes::usurp(std::uint32_t number, Rng rng) {
  const Node* now = leader();
  const auto count = powers_->node_count();
  if (now == nullptr || count < 2) return;
  const auto slot = static_cast<std::uint32_t>((now->slot() + 1 + rng.below(count - 1)) % count);
  if (!powers_->node(slot).up()) return;
  powers_->took_effect(number);
  cut_for({{now->slot(), slot}}, log_uniform(rng, 300ms, 1200ms));
  usurpers_.push_back({number, rng, now->slot(), slot});
}

void Ambushes::usurped(Usurper usurper) {
  Rng& rng = usurper.rng;
  const auto count = static_cast<std::uint32_t>(powers_->node_count());
  // Those that could vote for it may just have started again.
  const double again = rng.chance(0.5) ? 0.8 : 0;
  for (std::uint32_t other = 0; other < count; ++other) {
    if (other != usurper.leader && other != usurper.usurper && rng.chance(again))
      powers_->stop(powers_->node(other), Survival::cached, "killed", Duration(100us));
  }
  const Side side = rng.chance(0.5) ? Side::incoming : Side::both;
  cut_for(links_of(usurper.leader, side, 0), log_uniform(rng, 50ms, 400ms));
}

// hold_back.

void Ambushes::hold_back(std::uint32_t number, Rng rng) {
  const bool copies = rng.chance(0.6);
  const std::uint64_t some = rng.next();
  const std::uint64_t kinds = copies ? some : std::uint64_t{1} << seen_kind(rng);
  const std::uint64_t senders = rng.chance(0.4) ? ~std::uint64_t{0} : rng.next();
  holds_.push_back({number, rng.fork(), kinds, senders, copies, rng.chance(0.5), {}});
}

// Answers to what a leader sent in an earlier epoch of its own: what it got since is forgotten, and the next
// are held from this moment on.
void Ambushes::release_to(Hold& hold, std::uint32_t slot) {
  std::vector<Event> others;
  for (Event& event : std::exchange(hold.held, {})) {
    if (event.node != slot) {
      others.push_back(std::move(event));
    } else {
      stage_->queue.push(stage_->now + log_uniform(hold.rng, 500us, 60ms), std::move(event));
    }
  }
  hold.held = std::move(others);
  hold.count = {};
}

void Ambushes::release(Hold& hold, bool spread_out) {
  hold.count = {};
  for (Event& event : std::exchange(hold.held, {})) {
    const Duration longest = spread_out || hold.rng.chance(0.3) ? Duration(50ms) : Duration(2ms);
    stage_->queue.push(stage_->now + hold.rng.between(Duration(0), longest), std::move(event));
  }
}

// Helpers.

void Ambushes::cut_for(Links links, Duration lasts) {
  for (const auto& [from, to] : links) stage_->network.cut(from, to);
  later(lasts, [this, links = std::move(links)] {
    for (const auto& [from, to] : links) stage_->network.mend(from, to);
  });
}

Ambushes::Links Ambushes::links_of(std::uint32_t slot, Side side, std::uint64_t spared) {
  Links links;
  for (std::uint32_t other = 0; other < powers_->node_count(); ++other) {
    if (other == slot || (spared >> other & 1U) != 0) continue;
    if (side != Side::incoming) links.emplace_back(slot, other);
    if (side != Side::outgoing) links.emplace_back(other, slot);
  }
  return links;
}

// Of those that believe to lead, the one in the latest epoch.
Node* Ambushes::leader() {
  Node* found = nullptr;
  for (std::uint32_t slot = 0; slot < powers_->node_count(); ++slot) {
    Node& node = powers_->node(slot);
    if (!node.up() || node.halted() || node.leader() != node.id()) continue;
    if (found == nullptr || node.epoch() > found->epoch()) found = &node;
  }
  return found;
}

// Each kind alike, however often it is sent.
FrameKind Ambushes::seen_kind(Rng& rng) const {
  if (kinds_seen_ == 0) return 0;
  std::uint64_t kinds = kinds_seen_;
  for (std::uint64_t skip = rng.below(static_cast<std::uint64_t>(std::popcount(kinds))); skip != 0; --skip)
    kinds &= kinds - 1;
  return static_cast<FrameKind>(std::countr_zero(kinds));
}

}  // namespace quorate::sim
