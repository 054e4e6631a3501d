#include "explore/explore.h"

#include <gtest/gtest.h>

#include "explore/explorer.h"
#include "explore/paxos_subject.h"
#include "explore/raft_subject.h"

namespace quorate::explore {
namespace {

Bounds small(std::uint32_t commands, std::uint32_t crashes, std::uint32_t timers) {
  Bounds bounds;
  bounds.terms = 1;
  bounds.commands = commands;
  bounds.crashes = crashes;
  bounds.timers = timers;
  return bounds;
}

void exhausted(const Report& report, std::uint64_t states, std::uint32_t depth) {
  EXPECT_FALSE(report.violation) << report.violation->what;
  EXPECT_EQ(report.stopped, "");
  EXPECT_EQ(report.states, states);
  EXPECT_EQ(report.depth, depth);
}

TEST(Explore, PaxosHoldsInAllStates) {
  exhausted(explore("paxos", small(1, 0, 0)), 1897, 17);
  exhausted(explore("paxos", small(1, 1, 0)), 8750, 18);
}

TEST(Explore, RaftHoldsInAllStates) { exhausted(explore("raft", small(0, 0, 1)), 32466, 25); }

struct HastyRaft : RaftSubject {  // votes leave before they are durable
  static constexpr bool waits_for_disk = false;
};

TEST(Explore, AVoteForgottenInACrashIsFoundWithItsShortestTrace) {
  const Report report = Explorer<HastyRaft>(small(0, 1, 2)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->what,
            "the leader of term 1 is node 1, and then the leader of term 1 is node 2");
  EXPECT_EQ(report.violation->trace.size(), 13U);
  EXPECT_EQ(report.violation->trace.front(), "node 1: timer 1 fires");
}

struct JealousPaxos : PaxosSubject {  // judged by a property that does not hold
  static std::optional<std::string> differ(const Protocol& a, const Protocol& b) {
    if (a.round() == 0 || b.round() == 0) return std::nullopt;
    return "two proposers";
  }
};

TEST(Explore, APropertyOfTwoNodesIsJudgedInEachState) {
  const Report report = Explorer<JealousPaxos>(small(2, 0, 0)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->trace,
            (std::vector<std::string>{"node 1 is asked to propose v0", "node 2 is asked to propose v1"}));
}

TEST(Explore, ALimitIsTold) {
  Bounds bounds = small(1, 1, 1);
  bounds.max_depth = 3;
  EXPECT_EQ(explore("raft", bounds).stopped, "max-depth");
  bounds.max_depth = 0;
  bounds.max_states = 100;
  EXPECT_EQ(explore("raft", bounds).stopped, "max-states");
  EXPECT_FALSE(known("zab"));
}

}  // namespace
}  // namespace quorate::explore
