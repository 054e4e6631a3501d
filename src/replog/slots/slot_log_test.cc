// Scenarios of the slot log over Basic Paxos.
#include "replog/slots/slot_log.h"

#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr NodeId n1{1}, n2{2}, n3{3}, n4{4}, n5{5};

World three(std::uint64_t window = 8, std::size_t keep = 4096) {
  return World(1, {}, membership_of({1, 2, 3}), window, keep);
}
void lead(World& world) {
  world.start();
  world.cluster.run_for(500ms);
  ASSERT_EQ(world.nodes[n1].leader, n1);
}

std::optional<Index> slot_of(const Bytes& message) {
  const auto m = codec::decode<Message>(message);
  const auto* in_slot = m ? std::get_if<InSlot>(&*m) : nullptr;
  return in_slot ? std::optional(in_slot->slot) : std::nullopt;
}

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
    const auto message = codec::decode<Message>(m);
    if (from == n3 && message && std::holds_alternative<CatchUp>(*message)) ++asked;
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

// -------------------------------------------------------------------------------------------- leadership

TEST(Leadership, OthersRefuseWithTheLeader) {
  auto world = three();
  lead(world);
  world.propose(n2, "at the wrong node");
  world.cluster.run_for(1ms);
  ASSERT_EQ(world.nodes[n2].refused.size(), 1U);
  EXPECT_EQ(world.nodes[n2].refused[0].reason, rl::Refusal::not_leader);
  EXPECT_EQ(world.nodes[n2].refused[0].leader, n1);
}

TEST(Leadership, PassesOnWhenTheLeaderCrashesAndStaysThere) {
  auto world = three();
  lead(world);
  world.cluster.crash(n1);
  world.cluster.run_for(1s);
  EXPECT_EQ(world.nodes[n2].leader, n2);
  EXPECT_EQ(world.nodes[n3].leader, n2);
  world.cluster.start(n1);
  world.cluster.run_for(1s);
  for (const NodeId id : ids(3))
    EXPECT_EQ(world.nodes[id].leader, n2) << "a returning lower id takes nothing away";
}

TEST(Leadership, IsTransferred) {
  auto world = three();
  lead(world);
  world.cluster.ask(n1, rl::TransferLeadership{5, n3});
  world.cluster.run_for(500ms);
  for (const NodeId id : ids(3)) EXPECT_EQ(world.nodes[id].leader, n3);
  world.propose(n3, "by the new leader");
  ASSERT_TRUE(world.settle(ids(3)));
}

TEST(Leadership, IsNotTransferredToWhoCannotLead) {
  auto world = three();
  lead(world);
  world.cluster.crash(n3);
  world.cluster.run_for(1s);
  world.cluster.ask(n1, rl::TransferLeadership{5, n3});
  world.cluster.ask(n1, rl::TransferLeadership{6, n5});
  world.cluster.run_for(1ms);
  ASSERT_EQ(world.nodes[n1].refused.size(), 2U);
  EXPECT_EQ(world.nodes[n1].refused[0].reason, rl::Refusal::invalid);
  EXPECT_EQ(world.nodes[n1].refused[1].reason, rl::Refusal::invalid);
}

TEST(Leadership, NobodyLeadsAMinority) {
  auto world = three();
  lead(world);
  world.cluster.crash(n2);
  world.cluster.crash(n3);
  world.cluster.run_for(1s);
  EXPECT_TRUE(world.nodes[n1].leader.none());
  world.propose(n1, "in vain");
  world.cluster.run_for(1ms);
  ASSERT_FALSE(world.nodes[n1].refused.empty());
  EXPECT_EQ(world.nodes[n1].refused.back().reason, rl::Refusal::no_leader);
}

// OmniPaxos (EuroSys'23) §2: of five nodes each is cut off from all but node 3.
TEST(PartialConnectivity, QuorumLossTheOnlyConnectedNodeLeads) {
  World world(1, {}, membership_of({1, 2, 3, 4, 5}));
  world.start();
  world.cluster.run_for(500ms);
  for (const NodeId a : ids(5)) {
    for (const NodeId b : ids(5)) {
      if (a != n3 && b != n3 && a != b) world.cluster.cut.insert({a, b});
    }
  }
  world.cluster.run_for(1s);
  for (const NodeId id : ids(5)) EXPECT_EQ(world.nodes[id].leader, n3);
  world.propose(n3, "through the hub");
  ASSERT_TRUE(world.settle(ids(5)));
}

// As before, and the connected node was cut off and is behind: it learns what it lacks and leads.
TEST(PartialConnectivity, ConstrainedElectionTheOnlyConnectedNodeIsBehind) {
  World world(1, {}, membership_of({1, 2, 3, 4, 5}));
  world.start();
  world.cluster.run_for(500ms);
  world.isolate(n3, 5);
  for (int i = 0; i < 30; ++i) world.propose(n1, "p" + std::to_string(i));
  ASSERT_TRUE(world.settle({n1, n2, n4, n5}));
  world.cluster.cut.clear();
  for (const NodeId a : ids(5)) {
    for (const NodeId b : ids(5)) {
      if (a != n3 && b != n3 && a != b) world.cluster.cut.insert({a, b});
    }
  }
  world.cluster.run_for(2s);
  EXPECT_EQ(world.nodes[n3].leader, n3);
  world.propose(n3, "through the hub");
  ASSERT_TRUE(world.settle(ids(5)));
}

// 1 - 2 - 3: the ends do not hear each other.
TEST(PartialConnectivity, ChainedTheMiddleOrAnEndLeadsAndAllLearn) {
  auto world = three();
  lead(world);
  world.cluster.cut = {{n1, n3}, {n3, n1}};
  world.cluster.run_for(1s);
  const NodeId leader = world.nodes[n2].leader;
  ASSERT_FALSE(leader.none());
  EXPECT_EQ(world.nodes[leader].leader, leader);
  for (int i = 0; i < 10; ++i) world.propose(leader, "p" + std::to_string(i));
  ASSERT_TRUE(world.settle(ids(3)));
}

TEST(PartialConnectivity, OneWayDeafLeaderIsReplaced) {
  auto world = three();
  lead(world);
  world.cluster.cut = {{n2, n1}, {n3, n1}};  // node 1 is heard, and hears nobody
  world.cluster.run_for(1s);
  EXPECT_EQ(world.nodes[n2].leader, n2);
  world.propose(n2, "without the deaf one");
  ASSERT_TRUE(world.settle({n2, n3}));
}

// ------------------------------------------------------------------------------------------------- reads

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
  world.cluster.drop = [&](NodeId, NodeId to, const Bytes& m) {
    const auto message = codec::decode<Message>(m);
    return to == n2 && message && std::holds_alternative<ReadAnswer>(*message);
  };
  world.read(n2);
  world.cluster.run_for(20ms);
  world.cluster.inject(n1, n2, codec::encode(Message(ReadAnswer{0, 1, Index(1)})));
  world.cluster.run_for(20ms);
  EXPECT_THAT(world.nodes[n2].reads, IsEmpty());
}

// -------------------------------------------------------------------------------------------- membership

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

// --------------------------------------------------------------------------------------------- snapshots

TEST(Snapshots, BringBackWhoIsBehindTheLog) {
  auto world = three(4, 4);
  lead(world);
  world.cluster.crash(n3);
  for (int i = 0; i < 100; ++i) world.propose(n1, "p" + std::to_string(i));
  ASSERT_TRUE(world.settle({n1, n2}));
  world.snapshot(n1);
  world.snapshot(n2);
  world.cluster.run_for(100ms);
  EXPECT_TRUE(world.cluster.disk(n1).log.empty());
  world.cluster.start(n3);
  ASSERT_TRUE(world.settle(ids(3)));
  EXPECT_GE(world.snapshots, 1);
  // It takes part again: one of the others is enough beside it.
  world.cluster.crash(n2);
  world.cluster.run_for(1s);
  world.propose(n1, "with it");
  ASSERT_TRUE(world.settle({n1, n3}));
  EXPECT_EQ(world.nodes[n3].state, world.nodes[n1].state);
}

// The snapshot lies between a membership's slot and its coming into force: who takes part in which slot is
// not in it, and must come from a peer.
TEST(Snapshots, WithinAChangeOfMembership) {
  auto world = three(4, 0);
  lead(world);
  world.joiner = {n4};
  world.cluster.start(n4);
  world.cluster.crash(n3);
  for (int i = 0; i < 20; ++i) world.propose(n1, "p" + std::to_string(i));
  world.reconfigure(n1, {1, 2, 3, 4});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.nodes[n1].membership.members.size() == 4; }, 10s));
  world.snapshot(n1);
  world.snapshot(n2);
  world.cluster.run_for(50ms);
  world.cluster.start(n3);
  ASSERT_TRUE(world.settle(ids(4)));
  EXPECT_GE(world.snapshots, 1);
  for (const NodeId id : ids(4)) {
    ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(id).size() == 4; }, 10s)) << id.value;
    EXPECT_EQ(world.nodes[id].told.back().index, world.nodes[n1].told.back().index);
  }
}

// All members are replaced, and all the new ones begin with a snapshot: only the one that leaves can tell
// them who takes part behind it, and its first answers are lost.
TEST(Snapshots, OfAMemberThatLeaves) {
  World world(1, {}, membership_of({1}), 4, 0);
  world.joiner = {n2, n3};
  world.start();
  world.cluster.start(n2);
  world.cluster.start(n3);
  world.isolate(n1, 3);
  world.cluster.run_for(1s);
  for (int i = 0; i < 10; ++i) world.propose(n1, "p" + std::to_string(i));
  world.reconfigure(n1, {2, 3});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n1).size() == 2; }, 10s));
  world.snapshot(n1);
  world.cluster.run_for(50ms);
  world.cluster.drop = [](NodeId, NodeId, const Bytes& m) {
    const auto message = codec::decode<Message>(m);
    return message && std::holds_alternative<Values>(*message);
  };
  world.cluster.cut.clear();
  const auto restored = [&] { return !world.nodes[n2].applied.none() && !world.nodes[n3].applied.none(); };
  ASSERT_TRUE(world.cluster.run_until(restored, 5s));
  world.cluster.run_for(200ms);
  world.cluster.drop = {};
  world.asked.insert("without it");
  world.insist("without it", n2);
  EXPECT_TRUE(world.settle({n2, n3}));
}

TEST(Snapshots, RestartBehindOneKnowsTheMembership) {
  auto world = three(4, 0);
  lead(world);
  world.reconfigure(n1, {1, 2});
  ASSERT_TRUE(world.cluster.run_until([&] { return world.in_force(n2).size() == 2; }, 10s));
  for (const NodeId id : {n1, n2}) world.snapshot(id);
  world.cluster.run_for(50ms);
  for (const NodeId id : ids(3)) world.cluster.crash(id);
  for (const NodeId id : {n1, n2}) world.cluster.start(id);
  EXPECT_EQ(world.cluster.disk(n1).log.size(), 0U);
  world.cluster.run_for(1s);
  world.propose(world.nodes[n1].leader, "two are all");
  ASSERT_TRUE(world.settle({n1, n2}));
}

// --------------------------------------------------------------------------------------------- bad input

TEST(BadInput, IsDropped) {
  auto world = three();
  lead(world);
  const std::uint64_t huge = ~std::uint64_t{0};
  const std::vector<Message> messages{
      InSlot{Index(0), Bytes::literal("x")},
      InSlot{Index(huge), Bytes::literal("x")},
      InSlot{Index(5), Bytes::literal("not a message")},
      Heartbeat{huge, true, {n1}, Index(huge), Index(huge)},
      Heartbeat{huge, true, {n1}, Index(3), Index(huge)},
      CatchUp{Index(0)},
      CatchUp{Index(huge)},
      Values{Index(0), {Value{}}, Index(1), {}},
      Values{Index(huge), {Value{}}, Index(huge), {}},
      Values{Index(1), {}, Index(huge), {{Index(0), Index(1), {}}}},
      ReadAnswer{1, 1, Index(huge)},
      TakeOver{huge},
  };
  const auto before = world.cluster.protocol(n1).describe();
  for (const auto& meta : {SnapshotMeta{Index(huge), Epoch(1), membership_of({1, 2, 3}), {}},
                           SnapshotMeta{Index(99), Epoch(1), membership_of({0, 1, 2}), {}},
                           SnapshotMeta{Index(99), Epoch(1), {}, {}}}) {
    world.cluster.ask(n1, rl::SnapshotReceived{n2, Epoch(1), meta});
    EXPECT_EQ(world.cluster.protocol(n1).describe(), before);
  }
  for (const auto& message : messages) {
    world.cluster.inject(n2, n1, codec::encode(message));
    world.cluster.inject(NodeId(77), n1, codec::encode(message));
  }
  world.cluster.inject(n2, n1, Bytes::literal("\xff\xff\xff"));
  world.cluster.run_for(1s);
  EXPECT_EQ(world.cluster.broken, std::nullopt);
  world.propose(world.nodes[n1].leader, "still here");
  ASSERT_TRUE(world.settle(ids(3)));
}

TEST(BadInput, ADamagedRecordHaltsTheNode) {
  int halts = 0;
  for (const auto* key : {"incarnation", "configurations", "slot/1/promised", "slot/1/accepted"}) {
    Recovered recovered;
    recovered.records[key] = Bytes::literal("\xff\xff");
    auto node = make_slot_log(
        {.self = n1, .initial = membership_of({1, 2, 3})}, std::move(recovered),
        [](const agreement::Settings& s, Recovered r) { return paxos::make_paxos(s, std::move(r)); });
    Rng rng(1);
    Env env{Instant(1s), rng};
    node->start(env);
    for (const auto& effect : node->take()) {
      const auto* emit = std::get_if<Emit<rl::Event>>(&effect);
      halts += emit && std::holds_alternative<rl::Halt>(emit->event) ? 1 : 0;
    }
  }
  EXPECT_EQ(halts, 4);
}

TEST(Traces, TellTheAgreementsMessages) {
  auto world = three();
  lead(world);
  std::string told;
  world.cluster.on_message = [&](NodeId, NodeId, const Bytes& m) {
    told += world.cluster.protocol(n1).explain(m);
  };
  world.propose(n1, "p");
  ASSERT_TRUE(world.settle(ids(3)));
  EXPECT_THAT(told, testing::HasSubstr("\"type\":\"InSlot\",\"slot\":"));
  EXPECT_THAT(told, testing::HasSubstr("\"type\":\"Prepare\",\"n\":"));
}

}  // namespace
}  // namespace quorate::slots
