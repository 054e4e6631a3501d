// Partial connectivity: the scenarios of Ng, Haridi and Carbone, "Omni-Paxos" (EuroSys 2023), section 2, and
// one-way and flapping links. In each there is a node with links to a quorum; it must come to lead, and stay.
#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::IsEmpty;

class Partition : public testing::Test {
 protected:
  explicit Partition(std::size_t nodes = 5) : cluster(nodes) {
    cluster.start_all();
    cluster.elect(3);
    cluster.propose(3, "before");
    cluster.settle();
  }
  // What the leader of now is asked to do is done, and leadership rests.
  void expect_progress() {
    ASSERT_TRUE(cluster.leader());
    const auto leader = *cluster.leader();
    const Epoch term = cluster.raft(leader).term();
    cluster.propose(leader, "after");
    cluster.advance(5s);
    EXPECT_EQ(cluster.payloads(leader).back(), "after");
    EXPECT_EQ(cluster.leader(), leader);
    EXPECT_EQ(cluster.raft(leader).term(), term) << "no churn";
    EXPECT_THAT(cluster.violations, IsEmpty());
  }
  Cluster cluster;
};

// All links are lost but those of node 1. The leader, 3, lives and reaches 1, but no quorum.
TEST_F(Partition, QuorumLoss) {
  cluster.only({{1, 2}, {1, 3}, {1, 4}, {1, 5}});
  cluster.advance(5s);
  EXPECT_EQ(cluster.leader(), 1U);
  expect_progress();
}

// The leader is gone and only node 1 is connected to a quorum; but its log is behind those of all others.
TEST_F(Partition, ConstrainedElection) {
  cluster.cut(3, 1);
  for (int i = 0; i < 10; ++i) cluster.propose(3, "more");
  cluster.settle();
  ASSERT_LT(cluster.raft(1).log().last(), cluster.raft(2).log().last());
  cluster.only({{1, 2}, {1, 4}, {1, 5}});
  cluster.advance(10s);
  EXPECT_EQ(cluster.leader(), 1U);
  expect_progress();
  EXPECT_EQ(cluster.payloads(1).size(), 12U) << "nothing committed was lost";
}

TEST_F(Partition, ConstrainedElectionWithAConflictingTail) {
  // 1. Node 1 leads and appends what nobody else gets. 2. Node 3 leads again and commits. 3. As above.
  cluster.elect(1);
  cluster.only({{2, 3}, {2, 4}, {2, 5}, {3, 4}, {3, 5}, {4, 5}});
  for (int i = 0; i < 30; ++i) cluster.propose(1, "lost");
  cluster.elect(3);
  for (int i = 0; i < 10; ++i) cluster.propose(3, "more");
  cluster.settle();
  cluster.only({{1, 2}, {1, 4}, {1, 5}});
  cluster.advance(10s);
  EXPECT_EQ(cluster.leader(), 1U);
  expect_progress();
  EXPECT_EQ(cluster.payloads(1).size(), 12U);
}

TEST_F(Partition, ConstrainedElectionBehindACutLog) {
  cluster.cut(3, 1);
  for (int i = 0; i < 10; ++i) cluster.propose(3, "more");
  cluster.settle();
  for (const std::uint64_t id : {2, 4, 5}) {
    Node& n = cluster.node(id);
    n.settings.keep_entries = 0;
    cluster.restart(id);
  }
  cluster.advance(100ms);
  for (const std::uint64_t id : {2, 4, 5}) {
    Node& n = cluster.node(id);
    n.received[n.raft->applied()] = n.state;
    cluster.ask(id, rl::SnapshotAvailable{SnapshotMeta{n.raft->applied(), {}, {}, {}}});
    ASSERT_GT(n.raft->log().base(), cluster.raft(1).log().last());
  }
  cluster.only({{1, 2}, {1, 4}, {1, 5}});
  cluster.advance(10s);
  EXPECT_EQ(cluster.leader(), 1U);
  expect_progress();
}

// While it could not win for its log, its campaigns clashed with nobody's: as soon as it can, it does.
TEST_F(Partition, AnOutdatedLogIsNoReasonToWaitLonger) {
  cluster.cut(3, 1);
  for (int i = 0; i < 10; ++i) cluster.propose(3, "more");
  cluster.settle();
  cluster.only({{1, 2}, {1, 4}, {1, 5}});
  cluster.passes = [](const Packet& p) { return !std::holds_alternative<CatchUpReply>(p.message); };
  cluster.advance(30s);
  ASSERT_FALSE(cluster.leader());
  cluster.passes = {};
  cluster.advance(5 * cluster.node(1).settings.election_timeout);
  EXPECT_EQ(cluster.leader(), 1U);
  expect_progress();
}

// Why copying another's log is safe (catch_up.cc): only what makes the own log more up-to-date is taken.
TEST(CatchUpRule, ALogThatIsNotMoreUpToDateIsNotTaken) {
  Cluster cluster(3);
  cluster.node(1).disk = recovered_with({1, 2, 2}, 3);
  cluster.start(1);
  cluster.inject(2, 1, CatchUpReply{Epoch(3), Index(1), Epoch(1), {entry(1, 2), entry(1, 3), entry(1, 4)}});
  EXPECT_THAT(cluster.log_terms(1), testing::ElementsAre(1, 2, 2)) << "longer, but of an earlier term";
  cluster.inject(2, 1, CatchUpReply{Epoch(3), Index(1), Epoch(1), {entry(2, 2)}});
  EXPECT_THAT(cluster.log_terms(1), testing::ElementsAre(1, 2, 2)) << "a part of what is there";
  cluster.inject(2, 1, CatchUpReply{Epoch(3), Index(1), Epoch(1), {entry(3, 2)}});
  EXPECT_THAT(cluster.log_terms(1), testing::ElementsAre(1, 3)) << "shorter, but of a later term";
  cluster.wire.clear();
  cluster.inject(3, 1, Heartbeat{Epoch(4), Index(), 1});
  cluster.inject(2, 1, CatchUpReply{Epoch(4), Index(2), Epoch(3), {entry(3, 3)}});
  EXPECT_THAT(cluster.log_terms(1), testing::ElementsAre(1, 3))
      << "with a leader there is nothing to help oneself to";
}

// 1. Node 1 follows node 2 in term 5 and acknowledges entries of term 2, not committed yet.
// 2. It loses node 2.
// 3. It copies the log of node 3, which holds entries of term 3 in their place.
// 4. Node 2 still leads term 5, commits what others hold, and tells node 1 so up to what that acknowledged.
TEST(CatchUpRule, WhatWasAcknowledgedInATermIsNotTakenBackWithinIt) {
  Cluster cluster(5);
  cluster.node(1).disk = recovered_with({1, 2, 2}, 4);
  cluster.start(1);
  cluster.inject(2, 1, AppendEntries{Epoch(5), Index(3), Epoch(2), {}, Index()});
  cluster.sync(1);
  const auto acknowledged = cluster.take<AppendEntriesReply>(1, 2);
  ASSERT_EQ(acknowledged.size(), 1U);
  ASSERT_EQ(acknowledged[0].index, Index(3));
  cluster.advance(5s);
  ASSERT_TRUE(cluster.raft(1).leader().none());
  ASSERT_EQ(cluster.raft(1).term(), Epoch(5));
  cluster.inject(3, 1, CatchUpReply{Epoch(4), Index(1), Epoch(1), {entry(3, 2), entry(3, 3)}});
  ASSERT_THAT(cluster.log_terms(1), testing::ElementsAre(1, 3, 3));
  cluster.inject(2, 1, Heartbeat{Epoch(5), Index(3), 1});
  EXPECT_EQ(cluster.raft(1).commit(), Index()) << "node 2 means its own entries, of term 2";
  EXPECT_GT(cluster.raft(1).term(), Epoch(5)) << "node 2 must not count on term 5's acknowledgements";
  cluster.sync(1);
  cluster.restart(1);
  EXPECT_GT(cluster.raft(1).term(), Epoch(5));
  EXPECT_THAT(cluster.violations, IsEmpty());
}

// At the index where both logs may meet, the own term can also be the earlier of the two: go back further.
TEST(CatchUpRule, LogsThatForkedTwiceMeetWhereTheyAgree) {
  Cluster cluster(3);
  cluster.node(1).disk = recovered_with({1, 1, 3}, 4);
  cluster.node(2).disk = recovered_with({1, 2, 4}, 4);
  cluster.start(1);
  cluster.start(2);
  cluster.inject(1, 2, CatchUp{Index(3), Epoch(3)});
  cluster.settle();
  EXPECT_THAT(cluster.log_terms(1), testing::ElementsAre(1, 2, 4));
  EXPECT_THAT(cluster.violations, IsEmpty());
}

class ChainedPartition : public Partition {
 protected:
  ChainedPartition() : Partition(3) {}
};

// 1 - 2 - 3, led by an end. Node 1 does not hear the leader; node 2 hears both.
TEST_F(ChainedPartition, TheLeaderAtAnEndIsNotDeposedInTurns) {
  cluster.only({{1, 2}, {2, 3}});
  const Epoch term = cluster.raft(3).term();
  cluster.advance(10s);
  EXPECT_EQ(cluster.leader(), 3U);
  EXPECT_EQ(cluster.raft(3).term(), term);
  expect_progress();
}

TEST_F(ChainedPartition, WhenTheEndFailsTheMiddleLeads) {
  cluster.only({{1, 2}, {2, 3}});
  cluster.advance(1s);
  cluster.crash(3);
  cluster.advance(5s);
  ASSERT_TRUE(cluster.leader());
  expect_progress();
}

TEST_F(Partition, Chained) {  // 1 - 2 - 3 - 4 - 5: only the middle three reach a quorum
  cluster.crash(3);
  cluster.advance(5s);
  cluster.start(3);
  cluster.only({{1, 2}, {2, 3}, {3, 4}, {4, 5}, {2, 4}});
  cluster.advance(10s);
  expect_progress();
}

TEST_F(Partition, OneWay_ALeaderThatHearsNobodyStepsDown) {
  for (const std::uint64_t id : {1, 2, 4, 5}) cluster.cut_one_way(id, 3);
  cluster.advance(5s);
  ASSERT_TRUE(cluster.leader());
  EXPECT_NE(*cluster.leader(), 3U);
  expect_progress();
}

TEST_F(Partition, OneWay_ALeaderThatNobodyHearsIsReplaced) {
  for (const std::uint64_t id : {1, 2, 4, 5}) cluster.cut_one_way(3, id);
  cluster.advance(5s);
  ASSERT_TRUE(cluster.leader());
  EXPECT_NE(*cluster.leader(), 3U);
  expect_progress();
}

TEST_F(Partition, OneWay_AFollowerThatHearsNobodyDisturbsNobody) {
  for (const std::uint64_t id : {1, 2, 3, 5}) cluster.cut_one_way(id, 4);
  const Epoch term = cluster.raft(3).term();
  cluster.advance(10s);
  EXPECT_EQ(cluster.leader(), 3U);
  EXPECT_EQ(cluster.raft(3).term(), term);
  expect_progress();
}

TEST_F(Partition, FlappingLinksDoNotUnseatALeaderWithAQuorum) {
  const Epoch term = cluster.raft(3).term();
  for (int i = 0; i < 100; ++i) {
    cluster.heal();
    cluster.cut(3, i % 2 == 0 ? 1 : 2);
    cluster.cut(1, i % 3 == 0 ? 4 : 5);
    cluster.advance(70ms);
  }
  EXPECT_EQ(cluster.leader(), 3U);
  EXPECT_EQ(cluster.raft(3).term(), term);
  expect_progress();
}

TEST_F(Partition, FlappingLinksLongerThanATimeoutLeaveProgressInBetween) {
  for (int i = 0; i < 20; ++i) {
    cluster.heal();
    const std::uint64_t away = 1 + static_cast<std::uint64_t>(i) % 5;
    for (const std::uint64_t id : {1, 2, 3, 4, 5}) {
      if (id != away) cluster.cut(away, id);
    }
    cluster.advance(1s);
    ASSERT_TRUE(cluster.leader());
    cluster.propose(*cluster.leader(), "round " + std::to_string(i));
    cluster.settle();
    EXPECT_EQ(cluster.payloads(*cluster.leader()).back(), "round " + std::to_string(i));
  }
  EXPECT_THAT(cluster.violations, IsEmpty());
}

}  // namespace
}  // namespace quorate::raft::test
