// Whole runs of the slot log over Basic Paxos on a lossy network with crashes: every node executes the same
// prefix, nothing executed is lost, and when the faults end everything asked for is executed.
#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

TEST(SlotLogRun, ThreeNodesExecuteWhatTheLeaderIsAsked) {
  World world(1, {}, membership_of({1, 2, 3}));
  world.start();
  world.cluster.run_for(500ms);
  ASSERT_EQ(world.nodes[NodeId(2)].leader, NodeId(1));
  for (int i = 0; i < 100; ++i) world.propose(NodeId(1), "p" + std::to_string(i));
  ASSERT_TRUE(world.cluster.run_until([&] { return world.all_executed(ids(3)); }, 20s));
  EXPECT_EQ(world.nodes[NodeId(3)].state.size(), 100U);
  EXPECT_EQ(world.nodes[NodeId(3)].state.front(), "p0");
  EXPECT_EQ(world.nodes[NodeId(3)].state.back(), "p99");
  EXPECT_EQ(world.cluster.broken, std::nullopt);
}

class Seeds : public testing::TestWithParam<int> {};

TEST_P(Seeds, SafeUnderFaultsAndLiveAfterThem) {
  constexpr std::uint64_t per_case = 50;
  for (std::uint64_t seed = GetParam() * per_case; seed < (GetParam() + 1) * per_case; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed,
                {.loss = 0.1,
                 .duplication = 0.1,
                 .min_delay = 1ms,
                 .max_delay = 20ms,
                 .min_sync = 0ms,
                 .max_sync = 8ms},
                membership_of({1, 2, 3}), 4, 8);
    auto& rng = world.cluster.rng();
    world.start();
    int number = 0;
    for (int round = 0; round < 60; ++round) {
      world.cluster.run_for(rng.between(Duration(1ms), Duration(120ms)));
      const NodeId id(rng.between(1, 3));
      switch (rng.below(8)) {
        case 0:
          if (world.cluster.alive(id)) {
            world.cluster.crash(id);
          } else {
            world.cluster.start(id);
          }
          break;
        case 1: world.cluster.cut.insert({id, NodeId(rng.between(1, 3))}); break;
        case 2: world.cluster.cut.clear(); break;
        case 3: world.snapshot(id); break;
        case 4:
          if (world.cluster.alive(id)) world.read(id);
          break;
        default: world.insist("v" + std::to_string(++number), id);
      }
      ASSERT_EQ(world.cluster.broken, std::nullopt);
    }
    world.cluster.cut.clear();
    world.cluster.faults = {};
    for (const NodeId id : ids(3)) {
      if (!world.cluster.alive(id)) world.cluster.start(id);
    }
    ASSERT_TRUE(world.cluster.run_until([&] { return world.all_executed(ids(3)); }, 60s))
        << world.cluster.protocol(NodeId(1)).describe() << "\n"
        << world.cluster.protocol(NodeId(2)).describe() << "\n"
        << world.cluster.protocol(NodeId(3)).describe();
    for (const NodeId id : ids(3)) EXPECT_EQ(world.nodes[id].state, world.nodes[NodeId(1)].state);
    EXPECT_TRUE(world.cluster.run_until([&] { return world.all_read(); }, 5s));
    if (HasFailure()) return;
  }
}
// Members come and go under the same faults. Whoever is a member at the end executes everything.
TEST_P(Seeds, MembershipChangesUnderFaults) {
  constexpr std::uint64_t per_case = 50;
  for (std::uint64_t seed = GetParam() * per_case; seed < (GetParam() + 1) * per_case; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed,
                {.loss = 0.05,
                 .duplication = 0.05,
                 .min_delay = 1ms,
                 .max_delay = 15ms,
                 .min_sync = 0ms,
                 .max_sync = 5ms},
                membership_of({1, 2, 3}), 4, 8);
    world.joiner = {NodeId(4), NodeId(5)};
    auto& rng = world.cluster.rng();
    world.start();
    world.cluster.start(NodeId(4));
    world.cluster.start(NodeId(5));
    int number = 0;
    for (int round = 0; round < 60; ++round) {
      world.cluster.run_for(rng.between(Duration(1ms), Duration(150ms)));
      const NodeId id(rng.between(1, 5));
      switch (rng.below(8)) {
        case 0:
          if (world.cluster.alive(id)) {
            world.cluster.crash(id);
            world.cluster.at(rng.between(Duration(1ms), Duration(800ms)), [&world, id] {
              if (!world.cluster.alive(id)) world.cluster.start(id);
            });
          }
          break;
        case 1:
        case 2: {
          std::vector<std::uint64_t> voters;
          for (std::uint64_t i = 1; i <= 5; ++i) {
            if (rng.chance(0.6)) voters.push_back(i);
          }
          for (std::uint64_t i = 1; i <= 5 && !voters.empty(); ++i) world.reconfigure(NodeId(i), voters);
          break;
        }
        case 3: world.snapshot(id); break;
        case 4:
          if (world.cluster.alive(id)) world.read(id);
          break;
        default: world.insist("v" + std::to_string(++number), NodeId(rng.between(1, 5)));
      }
      ASSERT_EQ(world.cluster.broken, std::nullopt);
    }
    world.cluster.faults = {};
    for (const NodeId id : ids(5)) {
      if (!world.cluster.alive(id)) world.cluster.start(id);
    }
    // The last membership decided anywhere is the one that must live.
    const auto members = [&] {
      std::vector<NodeId> last = world.initial.voters();
      for (const auto& [index, entry] : world.chosen) {
        if (entry.kind == EntryKind::membership) last = codec::decode<Membership>(entry.payload)->voters();
      }
      return last;
    };
    ASSERT_TRUE(world.cluster.run_until([&] { return world.all_executed(members()); }, 120s))
        << world.cluster.protocol(NodeId(1)).describe() << "\n"
        << world.cluster.protocol(NodeId(2)).describe() << "\n"
        << world.cluster.protocol(NodeId(3)).describe() << "\n"
        << world.cluster.protocol(NodeId(4)).describe() << "\n"
        << world.cluster.protocol(NodeId(5)).describe();
    const auto last = members();
    for (const NodeId id : last) EXPECT_EQ(world.nodes[id].state, world.nodes[last.front()].state);
    EXPECT_TRUE(world.cluster.run_until([&] { return world.all_read(); }, 5s));
    if (HasFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(Random, Seeds, testing::Range(0, 6));

}  // namespace
}  // namespace quorate::slots
