// Basic Paxos among several nodes: duelling proposers and their cures, and random faults.
#include <gmock/gmock.h>

#include "agreement/paxos/paxos.h"
#include "agreement/paxos/test_cluster.h"

namespace quorate::paxos {
namespace {

using Cluster = test::Cluster<agreement::Request, agreement::Event>;

struct World {
  // Members 1 to `nodes`; the `outsiders` behind them propose and learn only.
  World(std::uint64_t seed, test::Faults faults, std::uint64_t nodes, BackOff back_off,
        std::uint64_t outsiders = 0)
      : cluster(
            seed, faults,
            [nodes, back_off](NodeId id, Recovered recovered) {
              agreement::Settings settings{.self = id, .members = {}};
              for (std::uint64_t i = 1; i <= nodes; ++i) settings.members.emplace_back(i);
              return make_paxos(settings, std::move(recovered), {.back_off = back_off, .distinguished = {}});
            },
            [this](NodeId id, const agreement::Event& event) {
              const auto value = std::get<agreement::Decided>(event).value.str();
              if (!chosen) chosen = value;
              EXPECT_EQ(value, *chosen) << "agreement: node " << id.value;
              EXPECT_TRUE(proposed.contains(value)) << "validity: " << value;
              EXPECT_TRUE(decided.insert(id).second) << "integrity: node " << id.value << " decides twice";
            }) {
    for (std::uint64_t i = 1; i <= nodes + outsiders; ++i) start(NodeId(i));
  }
  void start(NodeId id) {
    decided.erase(id);  // once per start
    cluster.start(id);
  }
  void propose(NodeId id, const std::string& value) {
    proposed.insert(value);
    cluster.ask(id, agreement::Propose{Bytes::copy(value)});
  }
  std::optional<std::string> chosen;
  std::set<std::string> proposed;
  std::set<NodeId> decided;
  Cluster cluster;
};

// §2.4: "It's easy to construct a scenario in which two proposers each keep issuing a sequence of proposals
// with increasing numbers, none of which are ever chosen." The messages that carry values take 30 ms, others
// 10 ms:
//    0 ms  node 1 sends Prepare 1.1      20 ms  it has its promises and sends Accept 1.1
//   30 ms  node 2 sends Prepare 2.2      40 ms  the others promise 2.2
//   50 ms  Accept 1.1 comes too late     60 ms  refused, node 1 sends Prepare 3.1
//   70 ms  the others promise 3.1        80 ms  Accept 2.2 comes too late, and so on
World duel(BackOff back_off) {
  return World(1, {.min_delay = 10ms, .max_delay = 10ms, .min_sync = 0ms, .max_sync = 0ms}, 3, back_off);
}
void start_duel(World& world) {
  world.cluster.delay = [](const Bytes& m) {
    const auto message = codec::decode<Message>(m);
    return message && std::holds_alternative<Accept>(*message) ? 30ms : 10ms;
  };
  world.propose(NodeId(1), "one");
  world.cluster.run_for(30ms);
  world.propose(NodeId(2), "two");
}

TEST(Duel, WithoutBackOffNothingIsEverChosen) {
  auto world = duel(BackOff::none);
  int prepares = 0;
  world.cluster.on_message = [&](NodeId, NodeId, const Bytes& m) {
    const auto message = codec::decode<Message>(m);
    prepares += message && std::holds_alternative<Prepare>(*message) ? 1 : 0;
  };
  start_duel(world);
  world.cluster.run_for(60s);
  EXPECT_EQ(world.chosen, std::nullopt);
  EXPECT_GT(prepares, 1000) << "they never rested";
  EXPECT_EQ(world.cluster.broken, std::nullopt);
}

TEST(Duel, RandomisedBackOffEndsIt) {
  auto world = duel(BackOff::randomised);
  start_duel(world);
  EXPECT_TRUE(world.cluster.run_until([&] { return world.decided.size() == 3; }, 5s));
}

TEST(Duel, ADistinguishedProposerEndsIt) {
  auto world = duel(BackOff::distinguished);
  start_duel(world);
  EXPECT_TRUE(world.cluster.run_until([&] { return world.decided.size() == 3; }, 5s));
}

TEST(Duel, AnotherTakesOverFromADistinguishedProposerThatCrashed) {
  auto world = duel(BackOff::distinguished);
  world.cluster.crash(NodeId(1));
  world.propose(NodeId(3), "three");
  EXPECT_TRUE(world.cluster.run_until([&] { return world.decided.size() == 2; }, 60s));
  EXPECT_EQ(world.chosen, "three");
}

// An acceptor that accepted and hears no more finishes what the crashed proposer began.
TEST(Recovery, TheOthersFindOutWhatACrashedProposerGotChosen) {
  auto world = duel(BackOff::randomised);
  bool accepted = false;
  world.cluster.on_message = [&](NodeId, NodeId, const Bytes& m) {
    const auto message = codec::decode<Message>(m);
    accepted |= message && std::holds_alternative<Accepted>(*message);
  };
  world.propose(NodeId(1), "one");
  ASSERT_TRUE(world.cluster.run_until([&] { return accepted || world.chosen; }, 5s));
  world.cluster.crash(NodeId(1));
  EXPECT_TRUE(world.cluster.run_until(
      [&] { return world.decided.contains(NodeId(2)) && world.decided.contains(NodeId(3)); }, 60s));
  EXPECT_EQ(world.chosen, "one");
}

TEST(Recovery, ACrashOfAllForgetsNothing) {
  auto world = duel(BackOff::randomised);
  world.propose(NodeId(1), "one");
  ASSERT_TRUE(world.cluster.run_until([&] { return world.decided.size() == 3; }, 5s));
  for (std::uint64_t i = 1; i <= 3; ++i) world.cluster.crash(NodeId(i));
  world.start(NodeId(2));
  world.start(NodeId(3));
  world.propose(NodeId(3), "three");
  EXPECT_TRUE(world.cluster.run_until([&] { return world.decided.contains(NodeId(3)); }, 60s));
  EXPECT_EQ(world.chosen, "one");
}

class Seeds : public testing::TestWithParam<BackOff> {};

TEST_P(Seeds, AgreementValidityIntegrityAndThenTermination) {
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::uint64_t nodes = 3 + 2 * (seed % 2);
    // Fast and slow disks and networks: a slow disk makes losing what was not durable likely, a slow network
    // keeps messages of earlier lives about.
    const Duration delay = seed % 3 == 0 ? 60ms : 6ms;
    const Duration sync = seed % 4 == 0 ? 3ms : 60ms;
    World world(seed,
                {.loss = 0.1,
                 .duplication = 0.2,
                 .min_delay = 1ms,
                 .max_delay = delay,
                 .min_sync = 0ms,
                 .max_sync = sync},
                nodes, GetParam(), 1);
    auto& rng = world.cluster.rng();
    const std::uint64_t all = nodes + 1;
    const auto someone = [&] { return NodeId(rng.between(1, all)); };
    int number = 0;
    for (int round = 0; round < 60; ++round) {
      world.cluster.run_for(rng.between(Duration(1ms), Duration(40ms)));
      const NodeId id = someone();
      switch (rng.below(7)) {
        case 0:
          if (world.cluster.alive(id)) world.cluster.crash(id);
          if (rng.chance(0.8)) {
            world.start(id);
            world.propose(id, "v" + std::to_string(++number));
          }
          break;
        case 1:
          for (std::uint64_t i = 1; i <= all; ++i) {
            if (rng.chance(0.95) && world.cluster.alive(NodeId(i))) world.cluster.crash(NodeId(i));
          }
          for (std::uint64_t i = 1; i <= all; ++i) {
            if (!world.cluster.alive(NodeId(i))) world.start(NodeId(i));
          }
          break;
        case 2: world.cluster.ask(id, agreement::Learn{}); break;
        case 3: world.cluster.cut.insert({id, someone()}); break;
        case 4: world.cluster.cut.clear(); break;
        default:
          if (world.cluster.alive(id)) world.propose(id, "v" + std::to_string(++number));
      }
      ASSERT_EQ(world.cluster.broken, std::nullopt);
    }
    world.cluster.cut.clear();
    world.cluster.faults = {};
    for (std::uint64_t i = 1; i <= all; ++i) {
      const NodeId id(i);
      if (!world.cluster.alive(id)) world.start(id);
      world.propose(id, "w" + std::to_string(i));
      world.cluster.ask(id, agreement::Learn{});
    }
    ASSERT_TRUE(world.cluster.run_until([&] { return world.decided.size() == all; }, 120s));
    if (HasFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(BackOff, Seeds, testing::Values(BackOff::randomised, BackOff::distinguished));

}  // namespace
}  // namespace quorate::paxos
