#include "explore/explore.h"

#include <gtest/gtest.h>

#include "explore/explorer.h"
#include "explore/paxos_subject.h"
#include "explore/raft_subject.h"

namespace quorate::explore {
namespace {

Bounds scope(std::uint64_t terms, std::uint32_t commands, std::uint32_t crashes) {
  Bounds bounds;
  bounds.terms = terms;
  bounds.commands = commands;
  bounds.crashes = crashes;
  return bounds;
}

void exhausted(const Report& report, std::uint64_t states, std::uint32_t depth) {
  EXPECT_FALSE(report.violation) << report.violation->what;
  EXPECT_EQ(report.stopped, "");
  EXPECT_EQ(report.states, states);
  EXPECT_EQ(report.depth, depth);
}

TEST(Explore, PaxosHoldsInAllStates) { exhausted(explore("paxos", scope(1, 2, 0)), 187'363, 21); }

TEST(Explore, RaftHoldsInAllStates) {
  exhausted(explore("raft", scope(2, 0, 1)), 41'112, 21);
  exhausted(explore("raft", scope(1, 2, 1)), 98'050, 25);
}

TEST(Explore, RaftHoldsWhereLeadershipIsTransferredAndLogsAreCut) {
  Bounds transfer = scope(2, 0, 0);
  transfer.transfers = 1;
  exhausted(explore("raft", transfer), 36'472, 21);
  Bounds snapshot = scope(2, 0, 0);
  snapshot.snapshots = 1;
  exhausted(explore("raft", snapshot), 21'711, 23);
}

Bounds lease_scope() {
  Bounds bounds = scope(2, 0, 0);
  bounds.candidates = {1, 2};
  bounds.ticks = 4;
  bounds.timers = 2;
  return bounds;
}

TEST(Explore, NobodyIsElectedWhileALeaseHolds) { exhausted(explore("raft", lease_scope()), 277'797, 28); }

struct ForgetfulRaft : RaftSubject {  // who may vote finds that time has passed, whatever it promised
  static std::optional<Host::In> input(Host& host, NodeId self, NodeId from, const Message& message,
                                       Sent& sent) {
    auto in = host.input(self, from, message, sent);
    auto* receive = in ? std::get_if<Receive<raft::Message>>(&*in) : nullptr;
    auto* vote = receive != nullptr ? std::get_if<raft::RequestVote>(&receive->message) : nullptr;
    if (vote != nullptr) vote->leadership_transfer = true;
    return in;
  }
};

TEST(Explore, ALeaseThatVotersForgetIsFound) {
  Bounds bounds = lease_scope();
  bounds.heartbeats = 1;
  const Report report = Explorer<ForgetfulRaft>(bounds).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->what, "the lease of term 1 holds, and the leader of term 2 is node 2");
  EXPECT_EQ(report.violation->trace.size(), 15U);
}

struct HastyRaft : RaftSubject {  // votes and acknowledgements leave before they are durable
  static constexpr bool waits_for_disk = false;
};

TEST(Explore, AVoteForgottenInACrashIsFoundWithItsShortestTrace) {
  const Report report = Explorer<HastyRaft>(scope(1, 0, 1)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->what,
            "the leader of term 1 is node 1, and then the leader of term 1 is node 2");
  const auto& trace = report.violation->trace;
  ASSERT_EQ(trace.size(), 6U);
  EXPECT_EQ(trace[0], "node 1: its election timer fires");
  EXPECT_TRUE(trace[1].ends_with("it crashes before anything of this is durable, and restarts")) << trace[1];
  EXPECT_EQ(trace[2], "node 2: its election timer fires");
}

struct HastyPaxos : PaxosSubject {
  static constexpr bool waits_for_disk = false;
};

TEST(Explore, APromiseForgottenInACrashIsFoundWithItsShortestTrace) {
  const Report report = Explorer<HastyPaxos>(scope(1, 2, 1)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->what, "the decision is v0, and then the decision is v1");
  const auto& trace = report.violation->trace;
  ASSERT_EQ(trace.size(), 10U);
  EXPECT_EQ(trace[0], "node 1 is asked to propose v0");
  EXPECT_TRUE(trace[3].ends_with("it crashes before anything of this is durable, and restarts")) << trace[3];
  EXPECT_EQ(trace[5], "node 3 is asked to propose v1");
}

struct JealousPaxos : PaxosSubject {  // judged by a property that does not hold
  static std::string shape(const Protocol& p) { return std::to_string(p.round()); }
  static std::optional<std::string> differ(const Protocol& a, const Protocol& b) {
    if (a.round() == 0 || b.round() == 0) return std::nullopt;
    return "two proposers";
  }
};

TEST(Explore, APropertyOfTwoNodesIsJudgedInEachState) {
  const Report report = Explorer<JealousPaxos>(scope(1, 2, 0)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->trace,
            (std::vector<std::string>{"node 1 is asked to propose v0", "node 2 is asked to propose v1"}));
}

// A message that was taken away because it could have no effect any more: in every state of a node that was
// come across, it has none, and whatever the node does next, it stays so.
template <class S, class Excepted>
void check_dead_messages(const Bounds& bounds, Excepted&& excepted) {
  Explorer<S> explorer(bounds);
  ASSERT_EQ(explorer.run().stopped, "");
  auto& catalog = explorer.catalog();
  const auto dead = [&](std::uint32_t packet, std::uint32_t node) {
    const auto from = static_cast<std::uint8_t>(catalog.packet(packet).from.value - 1);
    return S::dead({bounds, catalog.note(packet), from, true}, {}, catalog.glance(node));
  };
  std::uint64_t checked = 0;
  const std::size_t nodes = catalog.nodes();
  const std::size_t packets = catalog.packets();
  for (std::uint32_t node = 0; node < nodes; ++node) {
    std::vector<std::uint32_t> gone;
    std::vector<Action> actions;
    const auto& local = catalog.node(node).local;
    const std::uint8_t self = local.self();
    for (std::uint32_t packet = 0; packet < packets; ++packet) {
      if (catalog.receiver(packet) != self) continue;
      actions.push_back({Kind::deliver, self, Action::whole_step, packet});
      if (dead(packet, node) && !excepted(catalog.packet(packet).message)) gone.push_back(packet);
    }
    actions.push_back({Kind::crash, self, Action::whole_step, 0});
    for (const auto& [timer, at] : local.timers())
      actions.push_back({Kind::fire, self, Action::whole_step, static_cast<std::uint32_t>(timer.value)});
    for (const auto packet : gone) {
      const Action deliver{Kind::deliver, self, Action::whole_step, packet};
      ASSERT_EQ(catalog.act(node, deliver).node, catalog.impossible)
          << codec::to_json(catalog.packet(packet).message) << " at " << local.protocol().describe();
    }
    for (const Action& action : actions) {
      const std::uint32_t next = catalog.act(node, action).node;
      if (next == catalog.impossible) continue;
      for (const auto packet : gone) {
        ASSERT_TRUE(dead(packet, next))
            << codec::to_json(catalog.packet(packet).message) << " at " << local.protocol().describe()
            << ", and then at " << catalog.node(next).local.protocol().describe();
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 1000U);
}

TEST(Explore, MessagesThatAreTakenAwayHaveNoEffect) {
  check_dead_messages<PaxosSubject>(scope(1, 2, 0), [](const auto&) { return false; });
  // What is taken for lost, though it has an effect: README.md.
  check_dead_messages<RaftSubject>(scope(2, 1, 0), [](const auto& message) {
    const auto* vote = std::get_if<raft::RequestVoteReply>(&message);
    return (vote != nullptr && !vote->vote_granted) ||
           std::holds_alternative<raft::AppendEntriesReply>(message);
  });
}

TEST(Explore, ALimitIsTold) {
  Bounds bounds = scope(1, 1, 1);
  bounds.max_depth = 3;
  EXPECT_EQ(explore("raft", bounds).stopped, "max-depth");
  bounds.max_depth = 0;
  bounds.max_states = 100;
  EXPECT_EQ(explore("raft", bounds).stopped, "max-states");
  EXPECT_FALSE(known("zab"));
}

}  // namespace
}  // namespace quorate::explore
