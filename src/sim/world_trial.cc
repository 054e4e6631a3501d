// Some runs end with a trial: all is well and calm, then one thing happens to one node, and what must follow,
// or must not, is known. Of logs with leaders of epochs.
#include <algorithm>

#include <fmt/format.h>

#include "quorum/quorum.h"
#include "sim/world.h"

namespace quorate::sim {

namespace {

constexpr Duration calm = 1s;      // without a change of leader before anything is judged
constexpr Duration patience = 8s;  // to come to that
constexpr Duration apart = 700ms;  // several election time-outs
constexpr Duration together = 600ms;
constexpr Duration stalled = 1500ms;  // three election time-outs are allowed

}  // namespace

// A node that rejoins disturbs no leader: pre-vote and leader stickiness (Raft thesis §9.6, §6.2).
void World::judge_leadership() {
  FaultSet isolation;
  isolation.add(FaultKind::isolation);
  if (options_.leaders && options_.faults == isolation && stage_.checks.epochs() > 1)
    stage_.checks.fail("steady leadership",
                       fmt::format("{} leaders, though only followers were cut off", stage_.checks.epochs()));
}

void World::begin_trial() {
  enter(Phase::trial, "trial");
  trial_.kind = static_cast<Trial::Kind>(rng_.below(3));
  trial_.stage = Trial::Stage::calm;
  trial_.since = trial_.begun = stage_.now;
  trial_.leaderships = stage_.leaderships;
}

void World::continue_trial() {
  switch (trial_.stage) {
    case Trial::Stage::calm:
      if (stage_.now - trial_.begun > patience) return rest();
      if (stage_.leaderships != trial_.leaderships) {
        trial_.since = stage_.now;
        trial_.leaderships = stage_.leaderships;
      }
      if (stage_.now - trial_.since >= calm && !start_trial()) rest();
      return;
    case Trial::Stage::during:
      if (stage_.now >= trial_.since) judge_trial();
      return;
    case Trial::Stage::after:
      if (stage_.now < trial_.since) return;
      if (stage_.leaderships != trial_.leaderships)
        stage_.checks.fail("stability", fmt::format("node {} was away and comes back: the leader changes",
                                                    trial_.node->id().value));
      return rest();
  }
}

// False if this is no cluster in which anything must follow: it must bear the loss of one voter.
bool World::start_trial() {
  const Membership& now = membership();
  std::vector<Node*> followers;
  Node* leader = nullptr;
  for (const NodeId id : now.voters()) {
    Node& node = *nodes_.at(id.value - 1);
    if (!node.up() || (written_off_ >> node.slot() & 1U) != 0) continue;
    if (node.leader() != id) {
      followers.push_back(&node);
    } else if (std::exchange(leader, &node) != nullptr) {
      return false;
    }
  }
  const std::size_t majority = quorum::majority(now.voters().size());
  const bool away = trial_.kind == Trial::Kind::rejoin;
  if (now.joint() || leader == nullptr || followers.size() < majority) return false;
  trial_.node = away ? followers[rng_.below(followers.size())] : leader;
  trial_.stage = Trial::Stage::during;
  if (trial_.kind == Trial::Kind::stall) {
    leader->stall(true);
    clients_->demand_again();  // something to write
    for (Node* node : followers) clients_->demand(*node);
  } else {
    cut_off(*trial_.node, true);
  }
  trial_.since = stage_.now + (trial_.kind == Trial::Kind::stall ? stalled : apart);
  return true;
}

void World::judge_trial() {
  Node& node = *trial_.node;
  if (trial_.kind == Trial::Kind::stall) {
    node.stall(false);
  } else {
    cut_off(node, false);
  }
  if (trial_.kind == Trial::Kind::rejoin) {
    trial_.stage = Trial::Stage::after;
    trial_.since = stage_.now + together;
    return;
  }
  if (node.up() && node.leader() == node.id()) {
    stage_.checks.fail(
        "stability", fmt::format("node {} still leads, though {}", node.id().value,
                                 trial_.kind == Trial::Kind::stall ? "its disk stalls" : "nobody hears it"));
  }
  rest();
}

void World::cut_off(const Node& node, bool cut) {
  for (const auto& other : nodes_) {
    if (other->slot() == node.slot()) continue;
    for (const auto& [from, to] :
         {std::pair(node.slot(), other->slot()), std::pair(other->slot(), node.slot())})
      cut ? stage_.network.cut(from, to) : stage_.network.mend(from, to);
  }
}

}  // namespace quorate::sim
