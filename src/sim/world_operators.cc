// What operators do to the cluster of a run.
#include <algorithm>

#include "sim/world.h"

namespace quorate::sim {

namespace {
using Survival = storage::MemoryDisk::Survival;
}

// The process ends in order, and another release starts on what is there.
void World::change_release(std::uint32_t number, bool newer, Rng& rng) {
  Node& node = *active_[number].node;
  node.set_newer(newer);
  stop_node(node, Survival::all, newer ? "upgrade" : "downgrade", rng.between(Duration(1ms), Duration(50ms)));
}

// Asks again until the membership has the new machine instead of the old one.
void World::replace(std::uint32_t number) {
  if (phase_ != Phase::faults) return;
  Active& active = active_[number];
  Rng rng(plan_[number].seed + nodes_.size());
  if (active.node == nullptr) {
    Node* lost = any_victim(rng);
    if (lost == nullptr || gone(*lost)) return;
    active.fresh = add_node();
    if (active.fresh == nullptr) return;
    active.node = lost;
    took_effect(number);
    stop_node(*lost, Survival::none, "the machine is gone", Duration(0));
    written_off_ |= 1U << lost->slot();
    stage_.checks.lost(lost->id());
  }
  std::vector<Member> members = membership().members;
  const auto old = std::ranges::find(members, active.node->id(), &Member::id);
  if (old == members.end()) return;
  *old = {active.fresh->id(), Role::voter, {}};
  ask_for(std::move(members));
  stage_.queue.push(stage_.now + 200ms, {EventKind::again, nobody, 0, number, {}});
}

// An empty node becomes a learner, so that somebody needs a snapshot.
void World::join(std::uint32_t number) {
  const Node* fresh = active_[number].fresh;
  std::vector<Member> members = membership().members;
  if (phase_ != Phase::faults || fresh == nullptr) return;
  if (std::ranges::find(members, fresh->id(), &Member::id) != members.end()) return;
  members.push_back({fresh->id(), Role::learner, {}});
  ask_for(std::move(members));
  stage_.queue.push(stage_.now + 200ms, {EventKind::again, nobody, 0, number, {}});
}

void World::ask_for(std::vector<Member> members) {
  std::ranges::sort(members, {}, &Member::id);
  Node* asked = any_node(rng_, true);
  if (asked == nullptr || asked->paused() || !bearable(members)) return;
  Env env = asked->env();
  asked->replica().reconfigure(env, std::move(members), [](const replica::Outcome<Bytes>&) {});
  asked->settle();
}

// True if the nodes whose disks may be damaged are a minority of the voters, where they must be.
bool World::bearable(const std::vector<Member>& members) const {
  std::uint32_t voters = 0;
  std::uint32_t bad = 0;
  for (const Member& member : members) {
    if (member.role != Role::voter) continue;
    ++voters;
    if (is_victim(*nodes_.at(member.id.value - 1))) ++bad;
  }
  return voters != 0 && (options_.damaged_majority || bad <= (voters - 1) / 2);
}

Node* World::add_node() {
  if (nodes_.size() == most_nodes) return nullptr;
  const auto slot = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back(std::make_unique<Node>(stage_, slot, NodeId(slot + 1), Membership{}));
  start_node(*nodes_.back());
  return nodes_.back().get();
}

// Most of the voters are replaced at once: a quorum of the new ones may have none of the old.
std::optional<std::vector<Member>> World::draw_move(Rng& rng, std::vector<Member> members) {
  const std::size_t wanted = std::max<std::size_t>(members.size(), 2);
  const std::size_t stay = rng.below((wanted + 1) / 2);
  while (members.size() > stay)
    members.erase(members.begin() + static_cast<std::ptrdiff_t>(rng.below(members.size())));
  while (members.size() < wanted) {
    Node* former = rng.chance(0.5) ? any_node(rng, true) : nullptr;
    const bool free =
        former != nullptr && std::ranges::find(members, former->id(), &Member::id) == members.end();
    Node* node = free ? former : add_node();
    if (node == nullptr) return std::nullopt;
    members.push_back({node->id(), Role::voter, {}});
  }
  std::ranges::sort(members, {}, &Member::id);
  if (!bearable(members)) return std::nullopt;
  return members;
}

// Who got no answer asks somebody else for the same.
std::optional<std::vector<Member>> World::draw_members(Rng& rng) {
  if (wanted_ && rng.chance(0.3) && bearable(*wanted_)) return wanted_;
  return wanted_ = draw_change(rng);
}

std::optional<std::vector<Member>> World::draw_change(Rng& rng) {
  std::vector<Member> members = membership().members;
  if (rng.chance(0.12)) return draw_move(rng, std::move(members));
  const std::uint64_t changes = rng.chance(0.6) ? 1 : rng.between(2, 4);
  for (std::uint64_t i = 0; i < changes; ++i) {
    const std::uint64_t choice = rng.below(10);
    if (choice < 4 && members.size() < 7) {
      Node* fresh = add_node();
      if (fresh != nullptr)
        members.push_back({fresh->id(), rng.chance(0.6) ? Role::voter : Role::learner, {}});
    } else if (choice < 7 && members.size() > 1) {
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(rng.below(members.size())));
    } else if (choice < 9 && !members.empty()) {
      auto& member = members[rng.below(members.size())];
      member.role = member.role == Role::voter ? Role::learner : Role::voter;
    } else {
      // One that was removed comes back, with what it had.
      Node* former = any_node(rng, true);
      if (former != nullptr && std::ranges::find(members, former->id(), &Member::id) == members.end()) {
        members.push_back({former->id(), Role::voter, {}});
      }
    }
  }
  std::ranges::sort(members, {}, &Member::id);
  if (!bearable(members)) return std::nullopt;
  return members;
}

// In effect from the moment it is asked for until it has an outcome.
void World::change_membership(std::uint32_t number, Rng& rng) {
  auto members = draw_members(rng);
  Node* node = any_node(rng, true);
  if (!members || node == nullptr || node->paused()) return;
  took_effect(number);
  Env env = node->env();
  // Some operators chose by what they had seen just now, and others whatever there was.
  auto base = rng.chance(0.5) ? membership().members : std::vector<Member>();
  node->replica().reconfigure(
      env, std::move(*members),
      [this, number](const replica::Outcome<Bytes>&) { stage_.coverage.ended(number); }, std::move(base));
  node->settle();
}

void World::transfer_leadership(std::uint32_t number, Rng& rng) {
  Node* node = any_node(rng, true);
  Node* to = any_node(rng, false);
  if (node == nullptr || node->paused()) return;
  took_effect(number);
  Env env = node->env();
  node->replica().transfer(env, to->id(),
                           [this, number](const replica::Outcome<Bytes>&) { stage_.coverage.ended(number); });
  node->settle();
}

}  // namespace quorate::sim
