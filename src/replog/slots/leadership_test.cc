// Who leads the slot log: Ω, transfer, partial connectivity.
#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

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

TEST(Leadership, OutlastsAPauseOfAll) {
  auto world = three();
  lead(world);
  std::map<NodeId, int> told;
  for (const NodeId id : ids(3)) told[id] = world.nodes[id].leaders_told;
  for (int i = 0; i < 20; ++i) {
    world.cluster.stand_still(5s);
    world.cluster.run_for(std::chrono::milliseconds(10 + 17 * i));
  }
  for (const NodeId id : ids(3)) EXPECT_EQ(world.nodes[id].leaders_told, told[id]);
  world.cluster.crash(n1);
  world.cluster.stand_still(5s);
  world.cluster.run_for(1s);
  EXPECT_EQ(world.nodes[n2].leader, n2) << "who does not come back is not waited for";
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

}  // namespace
}  // namespace quorate::slots
