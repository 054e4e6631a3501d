// For tests: a few hosts over the slot log, on the simulated network, disk and clock of test_cluster.h. They
// apply what is committed, check it against each other, and take and install snapshots.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "agreement/paxos/paxos.h"
#include "agreement/paxos/test_cluster.h"
#include "core/codec.h"
#include "replog/slots/slot_log.h"

namespace quorate::slots {

namespace rl = replicated_log;
using Cluster = test::Cluster<rl::Request, rl::Event>;

inline Membership membership_of(const std::vector<std::uint64_t>& ids) {
  Membership m;
  for (const auto id : ids) m.members.push_back({NodeId(id), Role::voter, {}});
  return m;
}

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
    Membership membership;           // as of the last entry applied
    NodeId leader;
    int leaders_told = 0;
    std::vector<rl::MembershipChanged> told;
    std::vector<rl::Refused> refused;
    std::vector<std::uint64_t> reads;
    std::map<std::uint64_t, std::size_t> read_floor;  // what was executed anywhere when the read was asked
    void restart(const Recovered& recovered) {
      state.clear();
      applied = {};
      reads.clear();
      read_floor.clear();
      leader = {};
      told.clear();
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
      if (entry.kind == EntryKind::membership) node.membership = *codec::decode<Membership>(entry.payload);
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
  void on(NodeId id, const rl::Refused& e) { nodes[id].refused.push_back(e); }
  void on(NodeId id, const rl::LeaderChanged& e) {
    nodes[id].leader = e.leader;
    ++nodes[id].leaders_told;
  }
  void on(NodeId id, const rl::MembershipChanged& e) { nodes[id].told.push_back(e); }
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
  void on(NodeId id, const rl::Rejoining& /*e*/) { ADD_FAILURE() << "node " << id.value << " rejoins"; }
  void on(NodeId id, const rl::Halt& e) { ADD_FAILURE() << "node " << id.value << " halts: " << e.reason; }

  static SnapshotMeta meta(const Node& node) {
    return {node.applied, Epoch(1), node.membership, codec::encode(node.state)};
  }
  void start() {
    for (const auto& m : initial.members) {
      nodes[m.id].membership = initial;
      cluster.start(m.id);
    }
  }
  void propose(NodeId at, const std::string& text) {
    asked.insert(text);
    cluster.ask(at, rl::Propose{++request, {Bytes::copy(text)}});
  }
  std::uint64_t reconfigure(NodeId at, const std::vector<std::uint64_t>& voters,
                            const std::vector<std::uint64_t>& base = {}) {
    cluster.ask(at, rl::Reconfigure{++request, membership_of(voters).members, membership_of(base).members});
    return request;
  }
  void snapshot(NodeId at) {
    if (cluster.alive(at) && !nodes[at].applied.none())
      cluster.ask(at, rl::SnapshotAvailable{meta(nodes[at])});
  }
  // The membership in force at a node, as it told; none while a change waits.
  [[nodiscard]] std::vector<NodeId> in_force(NodeId at) {
    const auto& told = nodes[at].told;
    return told.empty() || !told.back().committed ? std::vector<NodeId>() : told.back().membership.voters();
  }
  void isolate(NodeId id, std::uint64_t nodes_there) {
    for (std::uint64_t i = 1; i <= nodes_there; ++i) {
      cluster.cut.insert({id, NodeId(i)});
      cluster.cut.insert({NodeId(i), id});
    }
  }
  void read(NodeId at) {
    nodes[at].read_floor[++request] = chosen.empty() ? 0 : chosen.rbegin()->first.value;
    cluster.ask(at, rl::ReadBarrier{request, rl::ReadMode::quorum});
  }
  // Each read that a node was asked for since its last start has had one answer, or refusal.
  [[nodiscard]] bool all_read() {
    return std::ranges::all_of(nodes, [&](const auto& node) {
      const auto& [id, state] = node;
      return std::ranges::all_of(state.read_floor, [&](const auto& read) {
        return std::ranges::count(state.reads, read.first) +
                   std::ranges::count(state.refused, read.first, &rl::Refused::id) ==
               1;
      });
    });
  }
  // As a client would: again and again, at one node after the other, until it is executed.
  void insist(const std::string& text, NodeId at) {
    if (executed.contains(text)) return;
    if (cluster.alive(at)) {
      const NodeId leader = nodes[at].leader;
      propose(leader.none() ? at : leader, text);
    }
    const auto after = nodes.upper_bound(at);
    const NodeId next = after == nodes.end() ? nodes.begin()->first : after->first;
    cluster.at(300ms, [this, text, next] { insist(text, next); });
  }
  bool settle(const std::vector<NodeId>& at, Duration limit = 30s) {
    return cluster.run_until([&] { return all_executed(at); }, limit);
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
  int snapshots = 0;
  Cluster cluster;
};

inline std::vector<NodeId> ids(std::uint64_t n) {
  std::vector<NodeId> all;
  for (std::uint64_t i = 1; i <= n; ++i) all.emplace_back(i);
  return all;
}

constexpr NodeId n1{1}, n2{2}, n3{3}, n4{4}, n5{5};

inline World three(std::uint64_t window = 8, std::size_t keep = 4096) {
  return World(1, {}, membership_of({1, 2, 3}), window, keep);
}
inline void lead(World& world) {
  world.start();
  world.cluster.run_for(500ms);
  ASSERT_EQ(world.nodes[n1].leader, n1);
}

inline std::optional<Index> slot_of(const Bytes& message) {
  const auto m = codec::decode<Message>(message);
  const auto* in_slot = m ? std::get_if<InSlot>(&*m) : nullptr;
  return in_slot ? std::optional(in_slot->slot) : std::nullopt;
}
inline bool tells_decision(const Bytes& message) {
  const auto m = codec::decode<Message>(message);
  const auto* in_slot = m ? std::get_if<InSlot>(&*m) : nullptr;
  if (!in_slot) return false;
  const auto inner = codec::decode<paxos::Message>(in_slot->message);
  return inner && std::holds_alternative<paxos::Decided>(*inner);
}
template <class M>
bool is(const Bytes& message) {
  const auto m = codec::decode<Message>(message);
  return m && std::holds_alternative<M>(*m);
}

}  // namespace quorate::slots
