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

}  // namespace
}  // namespace quorate::slots
