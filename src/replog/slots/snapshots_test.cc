// The slot log with its front cut: snapshots instead.
#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

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
  world.cluster.drop = [](NodeId, NodeId, const Bytes& m) { return is<Values>(m); };
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

}  // namespace
}  // namespace quorate::slots
