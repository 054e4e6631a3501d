#include "sim/lasting_partition.h"

#include <algorithm>

#include <fmt/format.h>

#include "quorum/quorum.h"
#include "sim/draw.h"

namespace quorate::sim {

namespace {

constexpr Duration lasts = 3s;
constexpr Duration half = 1500ms;
constexpr Duration load_pause = 30ms;  // between two writes asked of each voter
// Without a commit, and leaders that may come in the second half: measured, docs/reliability.md.
constexpr int most_timeouts = 12;
constexpr std::uint64_t most_leaders = 1;
constexpr std::uint64_t most_leaders_while_flapping = 4;

}  // namespace

const char* to_string(LastingPartition::Shape shape) {
  using enum LastingPartition::Shape;
  switch (shape) {
    case quorum_loss: return "quorum loss";
    case constrained_election: return "constrained election";
    case chain: return "chain";
    case one_way: return "one-way links";
    case flapping: return "flapping links";
  }
  return "";
}

LastingPartition::LastingPartition(Stage& stage, Clients& clients, Rng rng, std::vector<Node*> voters,
                                   std::size_t of, const Node& leader)
    : stage_(&stage),
      rng_(rng),
      voters_(std::move(voters)),
      of_(of),
      leader_(&leader),
      shape_(static_cast<Shape>(rng_.below(5))) {
  const std::size_t gone = shape_ == Shape::constrained_election ? 1 : 0;
  possible_ = of_ > 2 && voters_.size() - gone >= quorum::majority(of_);
  if (!possible_) return;
  for (Node* node : voters_) clients.load(*node, load_pause);
  // The hub may lead already, but where the leader goes.
  do hub_ = voters_[rng_.below(voters_.size())];
  while (gone != 0 && hub_ == leader_);
  begin(Part::load, rng_.between(Duration(50ms), Duration(300ms)));
}

bool LastingPartition::go_on() {
  if (now_ == Part::parted) {
    flap();
    judge();
  }
  if (stage_->now < until_) return true;
  switch (now_) {
    case Part::load:
      if (shape_ == Shape::constrained_election) {
        for (const Node* other : voters_) part(hub_->slot(), other->slot());
        begin(Part::lag, log_uniform(rng_, 30ms, 600ms));
        return true;
      }
      break;
    case Part::lag: mend(); break;
    case Part::parted: mend(); return false;
  }
  switch (shape_) {
    case Shape::quorum_loss:
    case Shape::constrained_election: keep_only_hub(); break;
    case Shape::chain: make_chain(); break;
    case Shape::one_way:
    case Shape::flapping: break_some(); break;
  }
  begin(Part::parted, lasts);
  return quorum_connected() || (mend(), false);
}

void LastingPartition::begin(Part part, Duration duration) {
  now_ = part;
  until_ = stage_->now + duration;
  if (part != Part::parted) return;
  cut_at_ = committed_at_ = stage_->now;
  committed_ = stage_->checks.last_committed();
  leaderships_ = stage_->leaderships;
  if (stage_->trace == nullptr) return;
  std::string links;
  for (const auto& [from, to] : cuts_)
    links += fmt::format("{}{}>{}", links.empty() ? "" : " ", from + 1, to + 1);
  Trace::Line(*stage_->trace, stage_->now, "parted")
      .field("what", to_string(shape_))
      .field("hub", hub_->id().value)
      .field("cut", links);
}

void LastingPartition::cut(std::uint32_t from, std::uint32_t to) {
  if (from == to) return;
  stage_->network.cut(from, to);
  cuts_.emplace_back(from, to);
}

void LastingPartition::part(std::uint32_t one, std::uint32_t other) {
  cut(one, other);
  cut(other, one);
}

void LastingPartition::mend() {
  for (const auto& [from, to] : cuts_) stage_->network.mend(from, to);
  for (const Loose& loose : loose_) {
    if (loose.cut) stage_->network.mend(loose.link.first, loose.link.second);
  }
  cuts_.clear();
  loose_.clear();
}

void LastingPartition::keep_only_hub() {
  const bool leader_goes = shape_ == Shape::constrained_election;
  for (std::size_t i = 0; i < voters_.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool goes = leader_goes && (voters_[i] == leader_ || voters_[j] == leader_);
      if (goes || (voters_[i] != hub_ && voters_[j] != hub_)) part(voters_[i]->slot(), voters_[j]->slot());
    }
  }
}

void LastingPartition::make_chain() {
  for (std::size_t i = voters_.size(); i > 1; --i) std::swap(voters_[i - 1], voters_[rng_.below(i)]);
  for (std::size_t i = 0; i < voters_.size(); ++i) {
    for (std::size_t j = 0; j + 1 < i; ++j) part(voters_[i]->slot(), voters_[j]->slot());
  }
}

// The hub and enough others to be a quorum with it keep their links.
void LastingPartition::break_some() {
  for (std::size_t i = voters_.size(); i > 1; --i) std::swap(voters_[i - 1], voters_[rng_.below(i)]);
  std::ranges::partition(voters_, [&](const Node* node) { return node == hub_; });
  const std::size_t kept = quorum::majority(of_);
  const double share = 0.3 + 0.7 * rng_.unit();
  for (std::size_t i = 0; i < voters_.size(); ++i) {
    for (std::size_t j = 0; j < voters_.size(); ++j) {
      const bool hubs = (i == 0 && j < kept) || (j == 0 && i < kept);
      if (i == j || hubs || !rng_.chance(share)) continue;
      const Link link(voters_[i]->slot(), voters_[j]->slot());
      if (shape_ == Shape::flapping) {
        loose_.push_back({link});
      } else {
        cut(link.first, link.second);
      }
    }
  }
}

void LastingPartition::flap() {
  for (Loose& loose : loose_) {
    if (stage_->now < loose.next) continue;
    const auto [from, to] = loose.link;
    loose.cut = !loose.cut;
    loose.cut ? stage_->network.cut(from, to) : stage_->network.mend(from, to);
    loose.next = stage_->now + log_uniform(rng_, 20ms, 600ms);
  }
}

// A voter that has links, both ways, to a quorum of voters: as all is cut now.
bool LastingPartition::quorum_connected() const {
  return std::ranges::any_of(voters_, [&](const Node* one) {
    const auto reached = std::ranges::count_if(voters_, [&](const Node* other) {
      return stage_->network.carries(one->slot(), other->slot()) &&
             stage_->network.carries(other->slot(), one->slot());
    });
    return static_cast<std::size_t>(reached) >= quorum::majority(of_);
  });
}

void LastingPartition::judge() {
  if (const Index committed = stage_->checks.last_committed(); committed != committed_) {
    committed_ = committed;
    committed_at_ = stage_->now;
  }
  Lasting& seen = stage_->lasting;
  seen.shape = static_cast<std::uint8_t>(shape_) + 1;
  seen.pause = std::max(seen.pause, stage_->now - committed_at_);
  if (!half_over_ && stage_->now - cut_at_ >= half) {
    half_over_ = true;
    leaderships_ = stage_->leaderships;
  }
  if (half_over_) seen.late_leaders = stage_->leaderships - leaderships_;
  if (stage_->now - committed_at_ > most_timeouts * stage_->tuning.settings.election_timeout)
    stage_->checks.fail("lasting partition",
                        fmt::format("{}: node {} reaches a quorum, and nothing is committed for {} ms",
                                    to_string(shape_), hub_->id().value, seen.pause.count() / 1'000'000));
  // Who leads slot by slot excludes nobody: where links flap each may take itself for the leader for a while.
  const bool flaps = shape_ == Shape::flapping;
  if (flaps && !stage_->options.leaders) return;
  if (seen.late_leaders > (flaps ? most_leaders_while_flapping : most_leaders))
    stage_->checks.fail("lasting partition",
                        fmt::format("{}: leaders go on taking turns, {} in the last {} ms", to_string(shape_),
                                    seen.late_leaders, (stage_->now - cut_at_ - half).count() / 1'000'000));
}

}  // namespace quorate::sim
