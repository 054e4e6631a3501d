// Whole runs of the slot log over Basic Paxos on a lossy network with crashes: every node executes the same
// prefix, nothing executed is lost, and when the faults end everything asked for is executed.
#include <gmock/gmock.h>

#include "agreement/paxos/paxos.h"
#include "agreement/paxos/test_cluster.h"
#include "core/codec.h"
#include "replog/slots/slot_log.h"

namespace quorate::slots {
namespace {

namespace rl = replicated_log;
using Cluster = test::Cluster<rl::Request, rl::Event>;

Membership membership_of(std::initializer_list<std::uint64_t> ids) {
  Membership m;
  for (const auto id : ids) m.members.push_back({NodeId(id), Role::voter, {}});
  return m;
}

// A host: applies what is committed, forwards to the leader, takes and installs snapshots.
struct World {
  explicit World(std::uint64_t seed, test::Faults faults, Membership members, std::uint64_t window = 8,
                 std::size_t keep = 4096)
      : initial(std::move(members)),
        cluster(
            seed, faults,
            [this, window, keep](NodeId id, Recovered recovered) {
              auto& node = nodes[id];
              node.restart(recovered);
              rl::Settings settings{.self = id, .initial = joiner.contains(id) ? Membership() : initial};
              settings.keep_entries = keep;
              settings.max_batch_bytes = 256;
              return make_slot_log(settings, std::move(recovered),
                                   [](const agreement::Settings& s, Recovered r) {
                                     return paxos::make_paxos(s, std::move(r));
                                   },
                                   {.window = window});
            },
            [this](NodeId id, const rl::Event& event) {
              std::visit([&](const auto& e) { on(id, e); }, event);
            }) {}

  struct Node {
    Index applied;
    std::vector<std::string> state;  // payloads in order: the whole state
    Membership membership;
    NodeId leader;
    std::vector<std::uint64_t> reads;
    std::map<std::uint64_t, std::size_t> read_floor;  // what was executed anywhere when the read was asked
    void restart(const Recovered& recovered) {
      state.clear();
      applied = {};
      reads.clear();
      read_floor.clear();
      leader = {};
      if (recovered.snapshot) {
        applied = recovered.snapshot->index;
        state = split(recovered.snapshot->digest);
        membership = recovered.snapshot->membership;
      }
    }
  };
  // A snapshot's digest carries the state itself: the tests' states are small.
  static std::vector<std::string> split(const Bytes& b) {
    return *codec::decode<std::vector<std::string>>(b);
  }

  void on(NodeId id, const rl::Committed& e) {
    auto& node = nodes[id];
    for (const auto& entry : e.entries) {
      if (entry.index <= node.applied) continue;
      EXPECT_EQ(entry.index, node.applied.next()) << "node " << id.value << " skips an index";
      node.applied = entry.index;
      const auto [it, first] = chosen.try_emplace(entry.index, entry);
      EXPECT_EQ(it->second, entry) << "node " << id.value << " disagrees at " << entry.index.value;
      if (entry.kind != EntryKind::payload) continue;
      EXPECT_TRUE(asked.contains(entry.payload.str())) << "out of thin air: " << entry.payload.str();
      node.state.push_back(entry.payload.str());
      executed.insert(entry.payload.str());
    }
  }
  void on(NodeId id, const rl::ReadReady& e) {
    // Everything executed anywhere before the read was asked is at or below its index.
    for (const auto read : e.ids) {
      nodes[id].reads.push_back(read);
      EXPECT_GE(e.index.value, nodes[id].read_floor[read]) << "stale read at node " << id.value;
    }
  }
  void on(NodeId, const rl::Refused&) { ++refused; }
  void on(NodeId id, const rl::LeaderChanged& e) { nodes[id].leader = e.leader; }
  void on(NodeId id, const rl::MembershipChanged& e) {
    if (e.committed) nodes[id].membership = e.membership;
  }
  void on(NodeId id, const rl::SendSnapshot& e) {
    auto& node = nodes[id];
    const rl::SnapshotReceived received{id, e.epoch, meta(node)};
    ++snapshots;
    cluster.at(5ms, [this, id, received, to = e.to] {
      if (cluster.alive(to)) cluster.ask(to, received);
      cluster.ask(id, rl::SnapshotDelivered{to, received.meta.index, true});
    });
  }
  void on(NodeId id, const rl::Restore& e) {
    nodes[id].applied = e.meta.index;
    nodes[id].state = split(e.meta.digest);
    nodes[id].membership = e.meta.membership;
  }
  void on(NodeId id, const rl::Halt& e) { ADD_FAILURE() << "node " << id.value << " halts: " << e.reason; }

  static SnapshotMeta meta(const Node& node) {
    return {node.applied, Epoch(1), node.membership, codec::encode(node.state)};
  }
  void start() {
    for (const auto& m : initial.members) cluster.start(m.id);
  }
  void propose(NodeId at, const std::string& text) {
    asked.insert(text);
    cluster.ask(at, rl::Propose{++request, {Bytes::copy(text)}});
  }
  void read(NodeId at) {
    nodes[at].read_floor[++request] = chosen.empty() ? 0 : chosen.rbegin()->first.value;
    cluster.ask(at, rl::ReadBarrier{request, rl::ReadMode::quorum});
  }
  // As a client would: again and again at whoever is thought to lead, until it is executed.
  void insist(const std::string& text, NodeId at) {
    if (executed.contains(text)) return;
    if (cluster.alive(at)) {
      const NodeId leader = nodes[at].leader;
      propose(leader.none() ? at : leader, text);
    }
    cluster.at(300ms, [this, text, at] { insist(text, at); });
  }
  [[nodiscard]] bool all_executed(const std::vector<NodeId>& ids) {
    return std::ranges::all_of(asked, [&](const auto& t) { return executed.contains(t); }) &&
           std::ranges::all_of(ids, [&](NodeId id) {
             return cluster.alive(id) && nodes[id].applied == chosen.rbegin()->first;
           });
  }

  Membership initial;
  std::set<NodeId> joiner;
  std::map<NodeId, Node> nodes;
  std::map<Index, Entry> chosen;  // as first executed anywhere
  std::set<std::string> asked;
  std::set<std::string> executed;
  std::uint64_t request = 0;
  int refused = 0;
  int snapshots = 0;
  Cluster cluster;
};

std::vector<NodeId> ids(std::uint64_t n) {
  std::vector<NodeId> all;
  for (std::uint64_t i = 1; i <= n; ++i) all.emplace_back(i);
  return all;
}

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
        case 3:
          if (world.cluster.alive(id) && !world.nodes[id].applied.none()) {
            world.cluster.ask(id, rl::SnapshotAvailable{World::meta(world.nodes[id])});
          }
          break;
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
    if (HasFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(Random, Seeds, testing::Range(0, 6));

}  // namespace
}  // namespace quorate::slots
