// Scenarios of the slot log over Basic Paxos: slots, gaps, the window.
#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

using testing::ElementsAre;

TEST(Slots, NothingIsExecutedBehindAGap) {
  auto world = three();
  lead(world);
  const Index gap = world.nodes[n1].applied.next();
  world.cluster.drop = [&](NodeId, NodeId, const Bytes& m) { return slot_of(m) == gap; };
  world.propose(n1, "in the gap");
  world.propose(n1, "behind it");
  world.cluster.run_for(2s);
  for (const NodeId id : ids(3)) EXPECT_LT(world.nodes[id].applied, gap);
  EXPECT_THAT(world.cluster.protocol(n1).describe(), testing::HasSubstr("behind-a-gap=1"));
  world.cluster.drop = {};
  ASSERT_TRUE(world.settle(ids(3)));
  EXPECT_THAT(world.nodes[n3].state, ElementsAre("in the gap", "behind it"));
}

// The old leader's value is in slot s+1, and nothing in slot s: the new one fills s with a no-op.
TEST(Slots, ANewLeaderFillsTheGapsOfTheOldOne) {
  auto world = three();
  lead(world);
  const Index gap = world.nodes[n1].applied.next();
  world.cluster.drop = [&](NodeId, NodeId, const Bytes& m) { return slot_of(m) == gap; };
  world.propose(n1, "lost with its proposer");
  world.propose(n1, "behind it");
  world.cluster.run_for(100ms);
  world.cluster.crash(n1);
  world.cluster.drop = {};
  ASSERT_TRUE(world.cluster.run_until([&] { return world.executed.contains("behind it"); }, 30s));
  EXPECT_EQ(world.chosen.at(gap).kind, EntryKind::noop);
  EXPECT_EQ(world.chosen.at(gap.next()).payload, "behind it");
}

TEST(Slots, AValueDecidedAndUnknownToTheNewLeaderIsNotOverwritten) {
  auto world = three();
  lead(world);
  world.isolate(n2, 3);
  world.propose(n1, "decided without 2");
  ASSERT_TRUE(world.cluster.run_until([&] { return world.executed.contains("decided without 2"); }, 5s));
  world.cluster.crash(n1);
  world.cluster.cut.clear();
  world.cluster.run_for(2s);
  ASSERT_EQ(world.nodes[n2].leader, n2);
  world.propose(n2, "of the new leader");
  ASSERT_TRUE(world.settle({n2, n3}));
  EXPECT_THAT(world.nodes[n2].state, ElementsAre("decided without 2", "of the new leader"));
}

// The slot goes to another's value: the own one is proposed again, in a later slot.
TEST(Slots, ADisplacedProposalIsProposedAgain) {
  auto world = three();
  lead(world);
  const Index slot = world.nodes[n1].applied.next();
  world.asked.insert("of another");
  world.cluster.drop = [&](NodeId from, NodeId, const Bytes& m) { return from == n1 && slot_of(m) == slot; };
  world.propose(n1, "displaced");
  world.cluster.run_for(20ms);
  world.cluster.inject(n2, n1,
                       codec::encode(Message(Values{
                           slot, {{n2, 9, 1, EntryKind::payload, Bytes::copy("of another")}}, slot, {}})));
  world.cluster.inject(n2, n3,
                       codec::encode(Message(Values{
                           slot, {{n2, 9, 1, EntryKind::payload, Bytes::copy("of another")}}, slot, {}})));
  ASSERT_TRUE(world.settle(ids(3)));
  EXPECT_THAT(world.nodes[n2].state, ElementsAre("of another", "displaced"));
}

// What a log does not say the origin of is recognised by its content, and not proposed a second time.
TEST(Slots, AnOwnValueLearntFromALogIsRecognised) {
  auto world = three();
  lead(world);
  const Index slot = world.nodes[n1].applied.next();
  world.cluster.drop = [&](NodeId from, NodeId, const Bytes& m) { return from == n1 && slot_of(m) == slot; };
  world.propose(n1, "mine");
  world.cluster.run_for(20ms);
  for (const NodeId to : {n1, n3}) {
    world.cluster.inject(n2, to,
                         codec::encode(Message(
                             Values{slot, {{{}, 0, 0, EntryKind::payload, Bytes::copy("mine")}}, slot, {}})));
  }
  world.cluster.run_for(2s);
  EXPECT_THAT(world.nodes[n1].state, ElementsAre("mine"));
}

TEST(Slots, ARepeatedAnswerAsksForNothingMore) {
  auto world = three();
  lead(world);
  const Index slot = world.nodes[n1].applied.next();
  int asked = 0;
  world.cluster.drop = [&](NodeId from, NodeId, const Bytes& m) {
    if (from == n3 && is<CatchUp>(m)) ++asked;
    return slot_of(m) == slot;
  };
  const std::vector<Configuration> configurations{{Index(), Index(1), membership_of({1, 2, 3})}};
  const Values answer{slot, {{n2, 9, 1, EntryKind::payload, Bytes::copy("x")}}, slot + 5, configurations};
  world.asked.insert("x");
  for (int i = 0; i < 4; ++i) world.cluster.inject(n2, n3, codec::encode(Message(answer)));
  world.cluster.run_for(5ms);
  EXPECT_EQ(asked, 1);
}

TEST(Slots, RecordsOfDecidedSlotsAreErased) {
  auto world = three(4);
  lead(world);
  for (int i = 0; i < 200; ++i) world.propose(n1, "p" + std::to_string(i));
  ASSERT_TRUE(world.settle(ids(3)));
  world.cluster.run_for(1s);
  for (const NodeId id : ids(3)) {
    EXPECT_LE(world.cluster.disk(id).records.size(), 3U * 2U * 4U + 2U)
        << "three records a slot, two windows";
    EXPECT_GE(world.cluster.disk(id).log.size(), 200U);
  }
}

TEST(Slots, TheWindowBoundsHowFarProposalsRunAhead) {
  auto world = three(4);
  lead(world);
  const Index gap = world.nodes[n1].applied.next();
  Index highest;
  world.cluster.drop = [&](NodeId, NodeId, const Bytes& m) {
    highest = std::max(highest, slot_of(m).value_or(Index()));
    return slot_of(m) == gap;
  };
  for (int i = 0; i < 20; ++i) world.propose(n1, "p" + std::to_string(i));
  world.cluster.run_for(1s);
  EXPECT_EQ(highest, gap + 3);
  world.cluster.drop = {};
  EXPECT_TRUE(world.settle(ids(3)));
}

TEST(Slots, RestartOfAllKeepsEverything) {
  auto world = three();
  lead(world);
  for (int i = 0; i < 50; ++i) world.propose(n1, "p" + std::to_string(i));
  ASSERT_TRUE(world.settle(ids(3)));
  for (const NodeId id : ids(3)) world.cluster.crash(id);
  for (const NodeId id : ids(3)) world.cluster.start(id);
  world.cluster.run_for(1s);
  world.propose(world.nodes[n1].leader, "after");
  ASSERT_TRUE(world.settle(ids(3)));
  EXPECT_EQ(world.nodes[n2].state.size(), 51U);
}

TEST(Slots, OverloadIsRefused) {
  auto world = three();
  lead(world);
  std::vector<Bytes> many(5000, Bytes::literal("x"));
  world.cluster.ask(n1, rl::Propose{77, many});
  world.cluster.run_for(1ms);
  ASSERT_EQ(world.nodes[n1].refused.size(), 1U);
  EXPECT_EQ(world.nodes[n1].refused[0].id, 77U);
  EXPECT_EQ(world.nodes[n1].refused[0].reason, rl::Refusal::busy);
}

// An acceptor is bound in a slot until the slot's value is in its log (Paxos Made Simple §2.5), although it
// heard what was decided there.
// 1. Slot g is decided by 1 and 2, the slot behind it by 1 and 3; nobody else hears of either.
// 2. Node 1 restarts: where its instances were, its log answers. 3 learns slot g + 1 from it, but not slot g.
// 3. Node 1 is cut off. 2 leads, and has nothing in slot g + 1 but what 3 accepted there.
TEST(Slots, AnAcceptorThatLearntAValueBehindAGapStaysBound) {
  auto world = three();
  lead(world);
  const Index gap = world.nodes[n1].applied.next();
  const Index behind = gap.next();
  const auto with = [](NodeId id, NodeId from, NodeId to) { return from == id || to == id; };
  world.cluster.drop = [&](NodeId from, NodeId to, const Bytes& m) {
    return is<CatchUp>(m) || (slot_of(m) == gap && with(n3, from, to)) ||
           (slot_of(m) == behind && (with(n2, from, to) || (to == n3 && tells_decision(m))));
  };
  world.propose(n1, "of 1 and 2");
  world.propose(n1, "of 1 and 3");
  ASSERT_TRUE(world.cluster.run_until([&] { return world.executed.contains("of 1 and 3"); }, 100ms));
  world.cluster.run_for(20ms);
  ASSERT_EQ(world.nodes[n2].applied, gap);
  world.cluster.crash(n1);
  world.cluster.start(n1);
  ASSERT_EQ(world.nodes[n1].applied, Index());
  world.cluster.drop = [&](NodeId from, NodeId to, const Bytes& m) {
    const bool asks = from == n3 && to == n1 && slot_of(m) == behind;
    return !asks && !(from == n1 && to == n3 && is<Values>(m));
  };
  const auto learnt = [&] {
    return world.cluster.protocol(n3).describe().find("behind-a-gap=1") != std::string::npos;
  };
  ASSERT_TRUE(world.cluster.run_until(learnt, 5s));
  world.isolate(n1, 3);
  world.cluster.drop = [&](NodeId from, NodeId to, const Bytes& m) {
    return is<CatchUp>(m) || (slot_of(m) == gap && with(n3, from, to));
  };
  ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n2].applied >= behind; }, 10s));
  EXPECT_EQ(world.chosen.at(behind).payload, "of 1 and 3");
  EXPECT_THAT(world.nodes[n2].state, ElementsAre("of 1 and 2", "of 1 and 3"));
}

// The same across a restart: what binds it stays on disk until the value is there.
TEST(Slots, WhatAnAcceptorPromisedStaysOnDiskUntilItsLogHoldsTheSlot) {
  auto world = three();
  lead(world);
  const Index gap = world.nodes[n1].applied.next();
  world.cluster.drop = [&](NodeId, NodeId to, const Bytes& m) {
    return is<CatchUp>(m) || (to == n3 && (slot_of(m) == gap || tells_decision(m)));
  };
  world.propose(n1, "in the gap");
  for (const auto* text : {"b", "c"}) world.propose(n1, text);
  world.cluster.run_for(50ms);
  const auto accepted = "slot/" + to_string(gap + 2) + "/accepted";
  ASSERT_TRUE(world.cluster.disk(n3).records.contains(accepted));
  const auto tell = [&](Index slot, const std::string& text) {
    const Values log{slot, {{{}, 0, 0, EntryKind::payload, Bytes::copy(text)}}, gap + 2, {}};
    world.cluster.inject(n1, n3, codec::encode(Message(log)));
    world.cluster.run_for(10ms);
  };
  tell(gap + 2, "c");
  tell(gap, "in the gap");
  ASSERT_EQ(world.nodes[n3].applied, gap);
  EXPECT_TRUE(world.cluster.disk(n3).records.contains(accepted));
  tell(gap.next(), "b");
  ASSERT_EQ(world.nodes[n3].applied, gap + 2);
  tell(gap + 2, "c");
  world.propose(n1, "d");
  world.cluster.drop = {};
  ASSERT_TRUE(world.settle(ids(3)));
  world.cluster.run_for(50ms);
  EXPECT_FALSE(world.cluster.disk(n3).records.contains(accepted));
}

}  // namespace
}  // namespace quorate::slots
