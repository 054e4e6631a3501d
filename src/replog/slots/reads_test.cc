// Reads of the slot log: each behind what was executed anywhere before it came.
#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

using testing::IsEmpty;

TEST(Reads, AtLeaderAndFollowerSeeWhatWasExecutedBefore) {
  auto world = three();
  lead(world);
  for (int i = 0; i < 5; ++i) {
    world.propose(n1, "p" + std::to_string(i));
    ASSERT_TRUE(world.cluster.run_until(
        [&] { return world.executed.size() == static_cast<std::size_t>(i) + 1; }, 5s));
    for (const NodeId id : ids(3)) world.read(id);
  }
  world.cluster.run_for(2s);
  for (const NodeId id : ids(3)) EXPECT_EQ(world.nodes[id].reads.size(), 5U);
}

TEST(Reads, ManyShareOneSlot) {
  auto world = three();
  lead(world);
  const auto before = world.nodes[n1].applied;
  for (int i = 0; i < 100; ++i) world.read(n1);
  world.cluster.run_for(1s);
  EXPECT_EQ(world.nodes[n1].reads.size(), 100U);
  EXPECT_LE(world.nodes[n1].applied - before, 2U);
}

TEST(Reads, ADeposedLeaderThatIsCutOffAnswersNone) {
  auto world = three();
  lead(world);
  world.isolate(n1, 3);
  world.read(n1);
  world.cluster.run_for(3s);
  EXPECT_THAT(world.nodes[n1].reads, IsEmpty());
  ASSERT_FALSE(world.nodes[n2].leader.none());
  world.propose(world.nodes[n2].leader, "meanwhile");
  world.cluster.run_for(1s);
  world.cluster.cut.clear();
  world.cluster.run_for(2s);
  world.read(n1);
  world.cluster.run_for(2s);
  EXPECT_EQ(world.nodes[n1].reads.size() + world.nodes[n1].refused.size(), 2U);
  EXPECT_FALSE(world.nodes[n1].reads.empty());
}

TEST(Reads, AnAnswerToAnEarlierLifeIsNotTaken) {
  auto world = three();
  lead(world);
  world.cluster.drop = [&](NodeId, NodeId to, const Bytes& m) { return to == n2 && is<ReadAnswer>(m); };
  world.read(n2);
  world.cluster.run_for(20ms);
  world.cluster.inject(n1, n2, codec::encode(Message(ReadAnswer{0, 1, Index(1)})));
  world.cluster.run_for(20ms);
  EXPECT_THAT(world.nodes[n2].reads, IsEmpty());
}

// 1. Node 1 proposes a change, on which a read rides. Node 2 leads too: it has had the very same change
// decided
//    in that slot, and more executed behind it, before the read came.
// 2. Node 1 learns the slot from a log, which does not say whose the change was.
// To take it for the own one would answer the read with what was there before.
TEST(Reads, AChangeLearntFromALogIsNotTakenForTheOwn) {
  auto world = three();
  lead(world);
  world.cluster.drop = [](NodeId from, NodeId to, const Bytes& m) {
    return (from == n1 || to == n1) && !is<TakeOver>(m);
  };
  world.cluster.ask(n1, rl::TransferLeadership{7, n2});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n2].leader == n2; }, 100ms));
  world.reconfigure(n2, {1, 2, 3});
  world.propose(n2, "behind it");
  ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n3].state.size() == 1; }, 100ms));
  const auto changed = std::ranges::find_if(
      world.chosen, [](const auto& slot) { return slot.second.kind == EntryKind::membership; });
  ASSERT_NE(changed, world.chosen.end());

  ASSERT_EQ(world.nodes[n1].leader, n1) << "it does not know yet";
  world.read(n1);  // goes alone: one at a time does
  for (Index slot = world.nodes[n1].applied + 2; slot < changed->first; ++slot) world.propose(n1, "p");
  world.read(n1);
  world.reconfigure(n1, {1, 2, 3});
  world.cluster.run_for(1ms);
  Values log{world.nodes[n1].applied.next(), {}, changed->first, {}};
  for (auto it = world.chosen.find(log.first); it != std::next(changed); ++it) {
    log.values.push_back({{}, 0, 0, it->second.kind, it->second.payload});
  }
  world.cluster.inject(n3, n1, codec::encode(Message(log)));
  world.cluster.run_for(1ms);
  EXPECT_THAT(world.nodes[n1].reads, IsEmpty());
  world.cluster.drop = {};
  EXPECT_TRUE(world.cluster.run_until([&] { return world.nodes[n1].reads.size() == 2; }, 10s));
}

// 1. Node 1 proposes A, B, C and D at once; the window holds three. A read comes.
// 2. A wins, so D follows, and the read with it. C and D lose their slots; B's stays open, so the window is
//    full, and both wait.
// 3. Leadership goes. C is refused, and with it the request: D is dropped. The read is not D's.
TEST(Reads, AreNotDroppedWithAProposal) {
  auto world = three(3);
  lead(world);
  const Index first = world.nodes[n1].applied.next();
  world.cluster.drop = [first](NodeId, NodeId, const Bytes& m) {
    const auto slot = slot_of(m);
    return slot && *slot > first;
  };
  for (const auto* text : {"A", "B", "C", "D"}) world.asked.insert(text);
  world.cluster.ask(
      n1, rl::Propose{100, {Bytes::copy("A"), Bytes::copy("B"), Bytes::copy("C"), Bytes::copy("D")}});
  world.read(n1);
  const std::uint64_t read = world.request;
  ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n1].applied == first; }, 1s));
  const auto lost =
      codec::encode(paxos::Message(paxos::Decided{codec::encode(Value{n2, 1, 1, EntryKind::noop, {}})}));
  for (const Index slot : {first + 2, first + 3})
    world.cluster.inject(n2, n1, codec::encode(Message(InSlot{slot, lost})));
  EXPECT_THAT(world.nodes[n1].reads, IsEmpty());
  world.isolate(n1, 3);
  world.cluster.run_for(5s);
  const auto refused = [&](std::uint64_t id) {
    return std::ranges::count(world.nodes[n1].refused, id, &rl::Refused::id);
  };
  EXPECT_EQ(refused(100), 1);
  EXPECT_EQ(world.nodes[n1].refused.front().reason, rl::Refusal::lost_leadership) << "A is in the log";
  EXPECT_EQ(refused(read), 1);
}

TEST(Reads, AreBoundedWhereTheLeaderDoesNotAnswer) {
  auto world = three();
  lead(world);
  world.cluster.drop = [](NodeId, NodeId, const Bytes& m) { return is<ReadAnswer>(m); };
  const std::size_t most = Options().max_reads;
  for (std::size_t i = 0; i < most + 3; ++i) world.read(n2);
  world.cluster.run_for(10ms);
  ASSERT_EQ(world.nodes[n2].refused.size(), 3U);
  EXPECT_EQ(world.nodes[n2].refused[0].reason, rl::Refusal::busy);
  world.cluster.drop = {};
  world.cluster.run_for(2s);
  EXPECT_EQ(world.nodes[n2].reads.size(), most);
  world.read(n2);
  world.cluster.run_for(1s);
  EXPECT_EQ(world.nodes[n2].reads.size(), most + 1) << "there is room again";
}

// The leader's slots stand still for a while, and the follower repeats its request.
TEST(Reads, WhatIsAskedForAgainTakesNoSecondPlace) {
  auto world = three();
  lead(world);
  int requests = 0;
  int answers = 0;
  bool stands_still = true;
  world.cluster.drop = [&](NodeId, NodeId, const Bytes& m) {
    requests += is<ReadRequest>(m) ? 1 : 0;
    answers += is<ReadAnswer>(m) ? 1 : 0;
    return stands_still && slot_of(m).has_value();
  };
  world.read(n2);
  world.cluster.run_for(300ms);
  ASSERT_GT(requests, 3);
  ASSERT_EQ(answers, 0);
  stands_still = false;
  world.cluster.run_for(2s);
  EXPECT_EQ(world.nodes[n2].reads.size(), 1U);
  EXPECT_EQ(answers, 1);
}

// What becomes of its slot the former leader does not get to know for long.
TEST(Reads, OfALeaderThatIsNoneAnyMoreGoToTheNext) {
  auto world = three();
  lead(world);
  world.cluster.drop = [](NodeId from, NodeId to, const Bytes& m) {
    return (from == n1 || to == n1) && (slot_of(m) || is<Values>(m));
  };
  world.read(n1);
  world.cluster.run_for(10ms);
  world.cluster.ask(n1, rl::TransferLeadership{100, n2});
  EXPECT_TRUE(world.cluster.run_until([&] { return world.nodes[n1].reads.size() == 1; }, 1s));
  EXPECT_EQ(world.nodes[n1].leader, n2);
}

// A chain of links: node 2 does not hear node 3, which leads, and takes node 1 for the leader.
class ReadsAtTheEndOfAChain : public testing::Test {
 protected:
  ReadsAtTheEndOfAChain() : world(three()) { lead(world); }
  void SetUp() override {
    world.cluster.ask(n1, rl::TransferLeadership{++world.request, n3});
    ASSERT_TRUE(world.cluster.run_until(
        [&] { return world.nodes[n1].leader == n3 && world.nodes[n2].leader == n3; }, 10s));
    world.cluster.cut = {{n2, n3}, {n3, n2}};
    ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n2].leader == n1; }, 10s));
    ASSERT_EQ(world.nodes[n1].leader, n3);
  }
  void answer(NodeId from, std::uint64_t incarnation, std::uint64_t number) {
    world.cluster.inject(from, n2, codec::encode(Message(ReadAnswer{incarnation, number, Index()})));
    world.cluster.run_for(1ms);
  }
  World world;
};

TEST_F(ReadsAtTheEndOfAChain, AreRefused) {
  world.read(n2);
  ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n2].refused.size() == 1; }, 1s));
  EXPECT_EQ(world.nodes[n2].refused[0].id, world.request);
  EXPECT_EQ(world.nodes[n2].refused[0].reason, rl::Refusal::not_leader);
  world.cluster.cut.clear();
  ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n2].leader == n3; }, 10s));
  world.read(n2);
  EXPECT_TRUE(world.cluster.run_until([&] { return world.nodes[n2].reads.size() == 1; }, 1s));
  EXPECT_EQ(world.nodes[n2].refused.size(), 1U);
}

TEST_F(ReadsAtTheEndOfAChain, AreNotRefusedForAnAnswerToOthers) {
  world.cluster.drop = [](NodeId, NodeId, const Bytes& m) { return is<ReadAnswer>(m); };
  world.read(n2);
  world.cluster.run_for(20ms);
  answer(n1, 1, 2);  // another batch
  answer(n1, 0, 1);  // of an earlier life
  answer(n3, 1, 1);  // not of whom it takes for the leader
  EXPECT_THAT(world.nodes[n2].refused, IsEmpty());
  answer(n1, 1, 1);
  EXPECT_EQ(world.nodes[n2].refused.size(), 1U);
}

}  // namespace
}  // namespace quorate::slots
