// Some runs end with a trial: all is well and calm, then one thing happens to one node, and what must follow,
// or must not, is known. All but the last two kinds are for logs with leaders of epochs.
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
constexpr Duration stalled = 1500ms;   // three election time-outs are allowed
constexpr unsigned most_attempts = 3;  // to hand over: its time is bounded, and disks may be slow
constexpr Duration loaded = 1500ms;    // for a node that was away to be level again
constexpr std::uint64_t most_restores = 4;
constexpr Duration changing = 5s;  // for two changes of members, while no client asks for anything

}  // namespace

// A node that rejoins disturbs no leader: pre-vote and leader stickiness (Raft thesis §9.6, §6.2).
void World::judge_leadership() {
  FaultSet isolation;
  isolation.add(FaultKind::isolation);
  if (options_.leaders && options_.faults == isolation && stage_.checks.epochs() > 1)
    stage_.checks.fail("steady leadership",
                       fmt::format("{} leaders, though only followers were cut off", stage_.checks.epochs()));
}

World::Trial::Kind World::draw_trial() {
  return options_.leaders ? static_cast<Trial::Kind>(rng_.below(6)) : Trial::Kind::change;
}

void World::begin_trial(Trial::Kind kind) {
  enter(Phase::trial, "trial");
  trial_.kind = kind;
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
      if (trial_.kind == Trial::Kind::change) return continue_changes();
      if (trial_.kind == Trial::Kind::hand_over) return continue_hand_over();
      if (trial_.kind == Trial::Kind::parted) return partition_->go_on() ? void() : rest();
      if (stage_.now >= trial_.since) judge_trial();
      return;
    case Trial::Stage::after:
      if (stage_.now < trial_.since) return;
      if (const auto restores = stage_.checks.restores(trial_.node->id()) - trial_.restores;
          restores > most_restores && stage_.leaderships == trial_.leaderships)
        stage_.checks.fail("convergence",
                           fmt::format("node {} was away and comes back: it is brought one state after the "
                                       "other, {} by now",
                                       trial_.node->id().value, restores));
      if (stage_.leaderships != trial_.leaderships)
        stage_.checks.fail("stability", fmt::format("node {} was away and comes back: the leader changes",
                                                    trial_.node->id().value));
      return rest();
  }
}

// False if this is no cluster in which anything must follow: it must bear the loss of one voter.
bool World::start_trial() {
  if (trial_.kind == Trial::Kind::change) {
    start_changes();
    return true;
  }
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
  if (trial_.kind == Trial::Kind::parted && leader != nullptr && !now.joint())
    return start_partition(std::move(followers), *leader);
  const std::size_t majority = quorum::majority(now.voters().size());
  const bool at_follower = trial_.kind != Trial::Kind::stall && trial_.kind != Trial::Kind::lonely;
  if (now.joint() || leader == nullptr || followers.size() < majority) return false;
  trial_.node = at_follower ? followers[rng_.below(followers.size())] : leader;
  trial_.stage = Trial::Stage::during;
  if (trial_.kind == Trial::Kind::hand_over) {
    trial_.asked = false;
    trial_.attempts = 0;
    trial_.since = stage_.now;
    return true;
  }
  if (trial_.kind == Trial::Kind::behind) clients_->load(*leader, 5ms);
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
  if (trial_.kind == Trial::Kind::rejoin || trial_.kind == Trial::Kind::behind) {
    trial_.stage = Trial::Stage::after;
    trial_.since = stage_.now + (trial_.kind == Trial::Kind::rejoin ? together : loaded);
    trial_.restores = stage_.checks.restores(node.id());
    return;
  }
  if (node.up() && node.leader() == node.id()) {
    stage_.checks.fail(
        "stability", fmt::format("node {} still leads, though {}", node.id().value,
                                 trial_.kind == Trial::Kind::stall ? "its disk stalls" : "nobody hears it"));
  }
  rest();
}

// Whom the leader hands over to leads, while all is calm, and no election time-out passes before: nobody asks
// whether the leader is live.
void World::continue_hand_over() {
  if (trial_.asked && trial_.node->up() && trial_.node->leader() == trial_.node->id()) return rest();
  if (stage_.now < trial_.since) return;
  if (std::exchange(trial_.asked, false)) {
    trial_.since = stage_.now + calm;
    return;
  }
  if (trial_.attempts == most_attempts) {
    stage_.checks.fail("liveness",
                       fmt::format("leadership is not handed over while all is calm, at last not to node {}",
                                   trial_.node->id().value));
    return rest();
  }
  std::vector<Node*> followers;
  Node* leader = nullptr;
  for (Node* node : members()) {
    if (!node->up() || node->halted()) continue;
    if (node->leader() == node->id()) {
      leader = node;
    } else if (membership().votes(node->id())) {
      followers.push_back(node);
    }
  }
  if (leader == nullptr || followers.empty()) return rest();
  trial_.node = followers[rng_.below(followers.size())];
  trial_.asked = true;
  trial_.since = stage_.now + stage_.tuning.settings.election_timeout;
  ++trial_.attempts;
  Env env = leader->env();
  leader->replica().transfer(env, trial_.node->id(), [](const replica::Outcome<Bytes>&) {});
  leader->settle();
}

bool World::start_partition(std::vector<Node*> voters, Node& leader) {
  voters.push_back(&leader);
  partition_.emplace(stage_, *clients_, Rng(seed_ ^ 0x5041'5254), std::move(voters),
                     membership().voters().size(), leader);
  trial_.stage = Trial::Stage::during;
  return partition_->possible();
}

// One more member, and then without it again: each change must come into force by itself, though no command
// and no read pushes the log on.
void World::start_changes() {
  clients_->stop();
  if (companion_) companion_->stop();
  trial_.node = nullptr;
  trial_.asked = trial_.made = false;
  trial_.stage = Trial::Stage::during;
  trial_.since = stage_.now + changing;
}

void World::continue_changes() {
  if (!clients_->idle()) {
    trial_.since = stage_.now + changing;
    return;
  }
  auto members = membership().members;
  const bool there =
      trial_.node != nullptr && std::ranges::find(members, trial_.node->id(), &Member::id) != members.end();
  if (trial_.made && !there && !trial_.asked) return rest();
  if (stage_.now >= trial_.since) {
    stage_.checks.fail("liveness", "a change of members does not come into force while all is calm");
    return rest();
  }
  if (trial_.asked || membership().joint()) return;
  if (trial_.node == nullptr) trial_.node = add_node();
  if (trial_.node == nullptr) return rest();
  if (there) {
    std::erase_if(members, [&](const Member& member) { return member.id == trial_.node->id(); });
  } else {
    members.push_back({trial_.node->id(), rng_.chance(0.5) ? Role::voter : Role::learner, {}});
  }
  const auto all = this->members();
  Node* at = all[rng_.below(all.size())];
  if (!at->up() || at->halted()) return;
  trial_.asked = true;
  Env env = at->env();
  at->replica().reconfigure(env, std::move(members), [this](const replica::Outcome<Bytes>& outcome) {
    trial_.asked = false;
    trial_.made = trial_.made || outcome.has_value();
  });
  at->settle();
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
