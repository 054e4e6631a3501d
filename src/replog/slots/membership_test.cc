// Who takes part in which slot: the window of alpha slots.
#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

TEST(Membership, AChangeTakesEffectAWindowAfterItsSlot) {
  auto world = three(4);
  lead(world);
  world.joiner = {n4};
  world.cluster.start(n4);
  world.reconfigure(n1, {1, 2, 3, 4});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n4).size() == 4; }, 10s));
  Index decided;
  for (const auto& [index, entry] : world.chosen) {
    if (entry.kind == EntryKind::membership) decided = index;
  }
  ASSERT_FALSE(decided.none());
  EXPECT_GE(world.chosen.rbegin()->first, decided + 3) << "the leader fills the window with no-ops";
  // Every node tells first that it is decided, then that it is in force.
  for (const NodeId id : {n1, n2, n3}) {
    ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(id).size() == 4; }, 10s));
    const auto& told = world.nodes[id].told;
    ASSERT_GE(told.size(), 2U);
    EXPECT_FALSE(told[told.size() - 2].committed);
    EXPECT_EQ(told.back().index, decided);
  }
  // Four members: three are needed now, and the newcomer is one of them.
  world.cluster.crash(n3);
  world.propose(n1, "with the newcomer");
  ASSERT_TRUE(world.settle({n1, n2, n4}));
  world.cluster.crash(n4);
  world.propose(n1, "two of four do not suffice");
  world.cluster.run_for(5s);
  EXPECT_FALSE(world.executed.contains("two of four do not suffice"));
}

TEST(Membership, TheLeaderItselfCanBeRemoved) {
  auto world = three(4);
  lead(world);
  world.reconfigure(n1, {2, 3});
  ASSERT_TRUE(world.cluster.run_until(
      [&] { return world.in_force(n2).size() == 2 && world.nodes[n3].leader == n2; }, 10s));
  EXPECT_EQ(world.in_force(n1), (std::vector<NodeId>{n2, n3})) << "it learns of its own removal";
  world.cluster.crash(n1);
  world.propose(n2, "without it");
  ASSERT_TRUE(world.settle({n2, n3}));
}

TEST(Membership, ARemovedNodeThatWasAwayIsTold) {
  auto world = three(4);
  lead(world);
  world.cluster.crash(n3);
  world.reconfigure(n1, {1, 2});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 2; }, 10s));
  world.cluster.start(n3);
  EXPECT_TRUE(world.cluster.run_until([&] { return world.in_force(n3).size() == 2; }, 10s));
}

// Its host may have lost what it executed, and with it who took part.
TEST(Membership, ANodeThatStartsAgainTellsFirstWhoTookPartInFrontOfItsLog) {
  auto world = three(4);
  lead(world);
  world.reconfigure(n1, {1, 2});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 2; }, 10s));
  world.cluster.crash(n1);
  world.cluster.start(n1);
  world.cluster.run_for(1ms);
  const auto& told = world.nodes[n1].told;
  ASSERT_GE(told.size(), 2U);
  EXPECT_TRUE(told.front().committed);
  EXPECT_EQ(told.front().index, Index());
  EXPECT_EQ(told.front().membership, world.initial);
}

TEST(Membership, OneChangeAtATime) {
  auto world = three(4);
  lead(world);
  world.reconfigure(n1, {1, 2});
  const auto second = world.reconfigure(n1, {1, 2, 3, 4});
  world.cluster.run_for(1ms);
  ASSERT_EQ(world.nodes[n1].refused.size(), 1U);
  EXPECT_EQ(world.nodes[n1].refused[0].id, second);
  EXPECT_EQ(world.nodes[n1].refused[0].reason, rl::Refusal::change_pending);
}

TEST(Membership, AChangeOfWhomItWasNotMadeFromIsRefused) {
  auto world = three(4);
  lead(world);
  const auto ours = world.reconfigure(n1, {1, 2}, {1, 2, 4});
  world.cluster.run_for(100ms);
  ASSERT_EQ(world.nodes[n1].refused.size(), 1U);
  EXPECT_EQ(world.nodes[n1].refused[0].id, ours);
  EXPECT_EQ(world.nodes[n1].refused[0].reason, rl::Refusal::superseded);
  EXPECT_EQ(world.in_force(n1).size(), 3U);
  world.reconfigure(n1, {1, 2}, {1, 2, 3});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 2; }, 10s));
}

TEST(Membership, ImpossibleOnesAreRefused) {
  auto world = three();
  lead(world);
  world.reconfigure(n1, {});
  world.reconfigure(n1, {1, 1, 2});
  world.reconfigure(n1, {0, 1, 2});
  world.cluster.run_for(1ms);
  ASSERT_EQ(world.nodes[n1].refused.size(), 3U);
  for (const auto& refused : world.nodes[n1].refused) EXPECT_EQ(refused.reason, rl::Refusal::invalid);
}

// Decided in the window of another change: void, at every node alike.
TEST(Membership, AConcurrentChangeIsVoid) {
  Configurations configurations(4);
  configurations.reset({{Index(0), Index(1), membership_of({1, 2, 3})}});
  EXPECT_TRUE(configurations.add(Index(10), membership_of({1, 2})));
  EXPECT_FALSE(configurations.add(Index(13), membership_of({1, 2, 3, 4})));
  EXPECT_EQ(configurations.in_force(Index(13))->membership, membership_of({1, 2, 3}));
  EXPECT_EQ(configurations.in_force(Index(14))->membership, membership_of({1, 2}));
  EXPECT_TRUE(configurations.add(Index(14), membership_of({1, 2, 3})));
}

// Node 1 has proposed a payload and, in the slot behind it, a change. It learns that another node's change,
// to `others`, won the first of the two.
class MembershipOfTwoLeaders : public testing::Test {
 protected:
  MembershipOfTwoLeaders() : world(three(4)) { lead(world); }
  void overtaken_by(const std::vector<std::uint64_t>& others, Index slot) {
    const Value theirs{n2, 1, 1, EntryKind::membership, codec::encode(membership_of(others))};
    const auto decided = codec::encode(paxos::Message(paxos::Decided{codec::encode(theirs)}));
    world.cluster.inject(n2, n1, codec::encode(Message(InSlot{slot, decided})));
    world.cluster.run_for(1ms);
  }
  void stand_still(Index from, Index upto) {
    world.cluster.drop = [=](NodeId, NodeId, const Bytes& m) {
      const auto slot = slot_of(m);
      return slot && *slot >= from && *slot <= upto;
    };
  }
  World world;
};

TEST_F(MembershipOfTwoLeaders, WhoseChangeIsVoidIsToldAtOnce) {
  const Index first = world.nodes[n1].applied.next();
  stand_still(first, first);
  world.propose(n1, "p");
  const auto ours = world.reconfigure(n1, {1, 2});
  world.cluster.run_for(100ms);
  ASSERT_TRUE(world.nodes[n1].refused.empty()) << "it won its slot, behind one that is open";
  overtaken_by({1, 3}, first);
  ASSERT_EQ(world.nodes[n1].refused.size(), 1U);
  EXPECT_EQ(world.nodes[n1].refused[0].id, ours);
  EXPECT_EQ(world.nodes[n1].refused[0].reason, rl::Refusal::superseded);
  EXPECT_EQ(world.chosen.at(first + 1).kind, EntryKind::noop);
}

TEST_F(MembershipOfTwoLeaders, AChangeThatCanOnlyBeVoidIsNotProposedAgain) {
  const Index first = world.nodes[n1].applied.next();
  stand_still(first, first + 100);
  const auto ours = world.reconfigure(n1, {1, 2});
  overtaken_by({1, 3}, first);
  ASSERT_EQ(world.nodes[n1].refused.size(), 1U);
  EXPECT_EQ(world.nodes[n1].refused[0].id, ours);
  EXPECT_EQ(world.nodes[n1].refused[0].reason, rl::Refusal::superseded);
}

TEST_F(MembershipOfTwoLeaders, WhatBothAskedForIsNotRefused) {
  const Index first = world.nodes[n1].applied.next();
  stand_still(first, first);
  world.propose(n1, "p");
  world.reconfigure(n1, {1, 2});
  world.cluster.run_for(100ms);
  overtaken_by({1, 2}, first);
  EXPECT_TRUE(world.nodes[n1].refused.empty());
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 2; }, 10s));
}

// Node 2, which led meanwhile, decided both slots, and has what node 1 proposed in the second as void.
class MembershipOfALogOfTwoLeaders : public MembershipOfTwoLeaders {
 protected:
  void learn(const std::vector<std::uint64_t>& ours, const std::vector<std::uint64_t>& others) {
    const Index first = world.nodes[n1].applied.next();
    std::optional<Value> proposed;
    world.cluster.drop = [&](NodeId, NodeId, const Bytes& m) {
      if (slot_of(m) == first + 1 && accept_of(m)) proposed = accept_of(m);
      return slot_of(m) == first || (slot_of(m) == first + 1 && accept_of(m));
    };
    world.propose(n1, "p");
    request = world.reconfigure(n1, ours);
    ASSERT_TRUE(world.cluster.run_until([&] { return proposed.has_value(); }, 1s));
    ASSERT_EQ(proposed->kind, EntryKind::membership);
    proposed->kind = EntryKind::noop;
    proposed->payload = {};
    const Value theirs{n2, 1, 1, EntryKind::membership, codec::encode(membership_of(others))};
    const Values log{first, {theirs, *proposed}, first + 1, {}};
    world.cluster.inject(n2, n1, codec::encode(Message(log)));
    world.cluster.run_for(1ms);
    world.cluster.drop = {};
    ASSERT_EQ(world.chosen.at(first + 1).kind, EntryKind::noop);
  }
  static std::optional<Value> accept_of(const Bytes& message) {
    const auto m = codec::decode<Message>(message);
    const auto inner = codec::decode<paxos::Message>(std::get<InSlot>(*m).message);
    const auto* accept = inner ? std::get_if<paxos::Accept>(&*inner) : nullptr;
    return accept ? std::optional(*codec::decode<Value>(accept->value)) : std::nullopt;
  }
  std::uint64_t request = 0;
};

TEST_F(MembershipOfALogOfTwoLeaders, WhoseChangeIsVoidIsToldAndMayAskForAnother) {
  ASSERT_NO_FATAL_FAILURE(learn({1, 2}, {1, 3}));
  ASSERT_EQ(world.nodes[n1].refused.size(), 1U);
  EXPECT_EQ(world.nodes[n1].refused[0].id, request);
  EXPECT_EQ(world.nodes[n1].refused[0].reason, rl::Refusal::superseded);
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 2; }, 10s));
  world.reconfigure(n1, {1, 2, 3});
  EXPECT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 3; }, 10s));
  EXPECT_EQ(world.nodes[n1].refused.size(), 1U);
}

TEST_F(MembershipOfALogOfTwoLeaders, WhatBothAskedForIsNotRefused) {
  ASSERT_NO_FATAL_FAILURE(learn({1, 3}, {1, 3}));
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 2; }, 10s));
  EXPECT_TRUE(world.nodes[n1].refused.empty());
  world.reconfigure(n1, {1, 2, 3});
  EXPECT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 3; }, 10s));
}

TEST(Membership, ALearnerReceivesAndDoesNotCount) {
  auto world = three(4);
  lead(world);
  world.joiner = {n4};
  world.cluster.start(n4);
  auto members = membership_of({1, 2, 3, 4}).members;
  members[3].role = Role::learner;
  world.cluster.ask(n1, rl::Reconfigure{99, members});
  world.cluster.run_for(2s);
  world.propose(n1, "for the learner too");
  ASSERT_TRUE(world.settle(ids(4)));
  world.cluster.crash(n2);
  world.cluster.crash(n3);
  world.cluster.run_for(1s);
  world.propose(n1, "a learner is no majority");
  world.cluster.run_for(3s);
  EXPECT_FALSE(world.executed.contains("a learner is no majority"));
}

}  // namespace
}  // namespace quorate::slots
