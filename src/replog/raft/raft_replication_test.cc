// Log replication and commitment: thesis §3.5, §3.6, §10.2.1; paper §5.3, figures 7 and 8.
#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto T = 150ms;

std::vector<Bytes> payloads_of(std::size_t count, std::size_t size = 1) {
  return std::vector<Bytes>(count, Bytes::adopt(std::string(size, 'p')));
}

TEST(RaftReplication, Figure7_TheLeaderBringsEveryFollowerToItsOwnLog) {
  const std::vector<std::vector<std::uint64_t>> logs = {
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6},        // the leader for term 8
      {1, 1, 1, 4, 4, 5, 5, 6, 6},           // (a)
      {1, 1, 1, 4},                          // (b)
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},     // (c)
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},  // (d)
      {1, 1, 1, 4, 4, 4, 4},                 // (e)
      {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},     // (f)
  };
  Cluster cluster(7);
  for (std::uint64_t id = 1; id <= 7; ++id) cluster.node(id).disk = recovered_with(logs[id - 1], 7);
  cluster.start_all();
  cluster.elect(1);
  ASSERT_EQ(cluster.leader(), 1U);
  EXPECT_EQ(cluster.raft(1).term(), Epoch(8));
  auto expected = logs[0];
  expected.push_back(8);
  for (std::uint64_t id = 1; id <= 7; ++id) EXPECT_EQ(cluster.log_terms(id), expected) << "node " << id;
  EXPECT_THAT(cluster.violations, IsEmpty());
}

// Figure 8, with five servers. (a) S1 leads term 2 and brought entry 2 to S2. (b) S5 led term 3. (c) S1 leads
// term 4 and brings entry 2 to S3: it is on a majority, and yet (d) S5 may still overwrite it.
class Figure8 : public testing::Test {
 protected:
  Figure8() : cluster(5, 1, [](rl::Settings& s) { s.max_batch_bytes = 1; }) {
    cluster.node(1).disk = recovered_with({1, 2}, 3);
    cluster.node(2).disk = recovered_with({1, 2}, 3);
    cluster.node(3).disk = recovered_with({1}, 3);
    cluster.node(4).disk = recovered_with({1}, 3);
    cluster.node(5).disk = recovered_with({1, 3}, 3);
    cluster.start_all();
    cluster.crash(5);
    // Everything but entry 3, the new leader's no-op.
    cluster.passes = [this](const Packet& p) {
      const auto* append = std::get_if<AppendEntries>(&p.message);
      return append == nullptr || append->entries.empty() || append->entries.back().index < Index(3) ||
             past_two;
    };
    cluster.cut(1, 4);  // a vote is not needed from S4, and it stays behind as in the figure
    cluster.elect(1);
    cluster.inject(1, 2, AppendEntries{Epoch(4), Index(2), Epoch(2), {}, Index()});
    cluster.inject(1, 3, AppendEntries{Epoch(4), Index(1), Epoch(1), {entry(2, 2)}, Index()});
    cluster.settle();
  }
  Cluster cluster;
  bool past_two = false;
};

TEST_F(Figure8, Section3_6_2_OnlyEntriesOfTheLeadersTermAreCommittedByCounting) {
  ASSERT_EQ(cluster.leader(), 1U);
  EXPECT_EQ(cluster.raft(1).progress(NodeId(2))->match, Index(2));
  EXPECT_EQ(cluster.raft(1).progress(NodeId(3))->match, Index(2));
  EXPECT_EQ(cluster.raft(1).commit(), Index(0)) << "entry 2 is of term 2";
}

TEST_F(Figure8, StepD_AnEntryOnAMajorityIsOverwritten) {
  cluster.crash(1);
  cluster.start(5);
  cluster.elect(5);
  ASSERT_EQ(cluster.raft(5).state(), State::leader);
  past_two = true;
  cluster.advance(1s);
  EXPECT_THAT(cluster.log_terms(3), ElementsAre(1, 3, cluster.raft(5).term().value));
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST_F(Figure8, StepE_AnEntryOfTheOwnTermCommitsTheEarlierOnesWithIt) {
  past_two = true;
  cluster.advance(100ms);
  EXPECT_EQ(cluster.raft(1).commit(), Index(3));
  cluster.start(5);
  cluster.now += T;
  cluster.fire(5, Raft::election_timer);
  cluster.settle();
  EXPECT_NE(cluster.raft(5).state(), State::leader);
  EXPECT_THAT(cluster.violations, IsEmpty());
}

class Follower : public testing::Test {
 protected:
  Follower() : cluster(3) {
    cluster.node(1).disk = recovered_with({1, 1, 1, 1, 1}, 1);
    cluster.start(1);
    cluster.sync(1);
  }
  AppendEntriesReply reply() {
    const auto replies = cluster.take<AppendEntriesReply>(1, 2);
    EXPECT_THAT(replies, SizeIs(1));
    return replies.empty() ? AppendEntriesReply{} : replies[0];
  }
  Cluster cluster;
};

TEST_F(Follower, TheAcknowledgedIndexIsWhatTheMessageProvedNeverTheLastIndex) {
  cluster.inject(2, 1, AppendEntries{Epoch(2), Index(2), Epoch(1), {}, Index()});
  cluster.sync(1);
  EXPECT_EQ(reply().index, Index(2));
  cluster.inject(2, 1, AppendEntries{Epoch(2), Index(2), Epoch(1), {entry(1, 3)}, Index()});
  EXPECT_EQ(reply().index, Index(3));
}

TEST_F(Follower, Section3_5_ALateMessageTruncatesNothing) {
  cluster.inject(2, 1, AppendEntries{Epoch(1), Index(1), Epoch(1), {entry(1, 2)}, Index()});
  EXPECT_EQ(cluster.raft(1).log().last(), Index(5));
  EXPECT_TRUE(reply().success);
}

TEST_F(Follower, Section3_5_AConflictTruncatesFromThereOnWithOneAtomicWrite) {
  cluster.inject(2, 1, AppendEntries{Epoch(2), Index(2), Epoch(1), {entry(1, 3), entry(2, 4)}, Index()});
  EXPECT_THAT(cluster.log_terms(1), ElementsAre(1, 1, 1, 2));
  ASSERT_THAT(cluster.node(1).unsynced, SizeIs(1));
  const auto& writes = cluster.node(1).unsynced.front().writes;
  ASSERT_THAT(writes, SizeIs(3));
  EXPECT_TRUE(std::holds_alternative<PutRecord>(writes[0]));
  EXPECT_EQ(std::get<TruncateFrom>(writes[1]).index, Index(4));
  EXPECT_THAT(std::get<quorate::AppendEntries>(writes[2]).entries, SizeIs(1));
}

TEST_F(Follower, AppendReplyLeavesOnlyAfterTheEntriesAreDurable) {
  cluster.inject(2, 1, AppendEntries{Epoch(2), Index(5), Epoch(1), {entry(2, 6)}, Index(6)});
  EXPECT_THAT(cluster.wire, IsEmpty());
  EXPECT_EQ(cluster.raft(1).commit(), Index(6));
  EXPECT_EQ(cluster.raft(1).applied(), Index(5)) << "nothing is applied ahead of the own log";
  // A repetition needs no write of its own, and must wait for the first one's all the same.
  cluster.inject(2, 1, AppendEntries{Epoch(2), Index(5), Epoch(1), {entry(2, 6)}, Index(6)});
  EXPECT_THAT(cluster.wire, IsEmpty());
  cluster.sync(1);
  EXPECT_THAT(cluster.take<AppendEntriesReply>(1, 2), SizeIs(2));
  EXPECT_EQ(cluster.raft(1).applied(), Index(6));
}

TEST_F(Follower, HeartbeatRepliesDoNotWaitForTheLog) {
  cluster.inject(2, 1, Heartbeat{Epoch(2), Index(), 1});
  cluster.sync(1);
  cluster.wire.clear();
  cluster.inject(2, 1, AppendEntries{Epoch(2), Index(5), Epoch(1), {entry(2, 6)}, Index()});
  cluster.inject(2, 1, Heartbeat{Epoch(2), Index(), 2});
  EXPECT_THAT(cluster.take<HeartbeatReply>(1, 2), SizeIs(1));
}

TEST_F(Follower, Section3_5_CommitIsBoundedByWhatTheMessageProved) {
  cluster.inject(2, 1, AppendEntries{Epoch(2), Index(2), Epoch(1), {}, Index(5)});
  EXPECT_EQ(cluster.raft(1).commit(), Index(2)) << "entries 3 to 5 may differ from the leader's";
}

TEST_F(Follower, Section3_3_AnEarlierTermIsToldTheCurrentOne) {
  cluster.inject(2, 1, AppendEntries{Epoch(3), Index(5), Epoch(1), {}, Index()});
  cluster.sync(1);
  cluster.wire.clear();
  cluster.inject(3, 1, Heartbeat{Epoch(2), Index(), 1});
  const auto replies = cluster.take<AppendEntriesReply>(1, 3);
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_FALSE(replies[0].success);
  EXPECT_EQ(replies[0].term, Epoch(3));
}

TEST(RaftReplication, Section5_3_BackOffSkipsAWholeConflictingTerm) {
  Cluster cluster(3);
  std::vector<std::uint64_t> leader(10, 1);
  std::vector<std::uint64_t> follower(10, 1);
  leader.insert(leader.end(), 300, 4);
  follower.insert(follower.end(), 150, 2);
  follower.insert(follower.end(), 150, 3);
  cluster.node(1).disk = recovered_with(leader, 4);
  cluster.node(2).disk = recovered_with(leader, 4);
  cluster.node(3).disk = recovered_with(follower, 4);
  cluster.start_all();
  int rejections = 0;
  cluster.passes = [&](const Packet& p) {
    const auto* reply = std::get_if<AppendEntriesReply>(&p.message);
    if (reply != nullptr && !reply->success) ++rejections;
    return true;
  };
  cluster.elect(1);
  EXPECT_EQ(cluster.log_terms(3), cluster.log_terms(1));
  EXPECT_LE(rejections, 3) << "one for each conflicting term, not one for each entry";
  EXPECT_GE(rejections, 1);
}

class Leader : public testing::Test {
 protected:
  explicit Leader(std::size_t nodes = 3)
      : cluster(nodes, 1, [](rl::Settings& s) {
          s.max_inflight = 4;
          s.max_batch_bytes = 1000;
        }) {
    cluster.start_all();
    cluster.elect(1);
    cluster.forget_events();
    base = cluster.raft(1).log().last().value;
  }
  Cluster cluster;
  std::uint64_t base = 0;
};

TEST_F(Leader, Section3_6_2_CommitsANoOpOfItsTermAtOnce) {
  EXPECT_EQ(cluster.raft(1).commit(), Index(1));
  EXPECT_EQ(cluster.raft(1).log().at(Index(1)).kind, EntryKind::noop);
}

TEST_F(Leader, Section10_2_1_SendsBeforeItsOwnDiskIsDone) {
  cluster.node(1).disk_works = false;
  cluster.propose(1, "a");
  EXPECT_THAT(cluster.take<AppendEntries>(1, 2), SizeIs(1));
  EXPECT_THAT(cluster.take<AppendEntries>(1, 3), SizeIs(1));
  EXPECT_THAT(cluster.node(1).unsynced, SizeIs(1));
}

TEST_F(Leader, Section10_2_1_CountsItsOwnCopyOnlyWhenDurable) {
  cluster.cut(1, 3);
  cluster.node(1).disk_works = false;
  cluster.propose(1, "a");
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).progress(NodeId(2))->match, Index(base + 1));
  EXPECT_EQ(cluster.raft(1).commit(), Index(base)) << "one durable copy of three";
  cluster.sync(1);
  EXPECT_EQ(cluster.raft(1).commit(), Index(base + 1));
}

TEST_F(Leader, Section10_2_1_AQuorumOfFollowersCommitsWithoutTheLeadersDisk) {
  cluster.node(1).disk_works = false;
  cluster.propose(1, "a");
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).commit(), Index(base + 1));
  EXPECT_THAT(cluster.payloads(2), ElementsAre("a"));
  EXPECT_THAT(cluster.payloads(1), IsEmpty()) << "but it applies nothing its own log could lose";
  cluster.sync(1);
  EXPECT_THAT(cluster.payloads(1), ElementsAre("a"));
}

TEST_F(Leader, ABatchIsOneWriteAndOneMessageToEachFollower) {
  cluster.ask(1, rl::Propose{1, payloads_of(10)});
  EXPECT_THAT(cluster.node(1).unsynced, SizeIs(1));
  const auto sent = cluster.take<AppendEntries>(1, 2);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_THAT(sent[0].entries, SizeIs(10));
}

TEST_F(Leader, Section10_2_1_PipelinesUpToTheBoundAndGoesOnWithEachAcknowledgement) {
  for (int i = 0; i < 10; ++i) cluster.propose(1, "x");
  const auto sent = cluster.take<AppendEntries>(1, 2);
  ASSERT_THAT(sent, SizeIs(4)) << "max_inflight";
  cluster.take<AppendEntries>(1, 3);
  cluster.sync(1);
  cluster.inject(2, 1, AppendEntriesReply{cluster.raft(1).term(), true, Index(base + 2), Epoch(), Index()});
  EXPECT_THAT(cluster.take<AppendEntries>(1, 2), SizeIs(1)) << "the rest as one batch";
}

TEST_F(Leader, MessagesAreBoundedInBytes) {
  cluster.ask(1, rl::Propose{1, payloads_of(10, 300)});
  for (const auto& m : cluster.take<AppendEntries>(1, 2)) EXPECT_LE(m.entries.size(), 3U);
  cluster.settle();
  EXPECT_EQ(cluster.payloads(3).size(), 10U);
}

TEST_F(Leader, APayloadLargerThanAMessageStillTravels) {
  cluster.ask(1, rl::Propose{1, payloads_of(2, 5000)});
  cluster.settle();
  EXPECT_EQ(cluster.payloads(3).size(), 2U);
}

TEST_F(Leader, LostMessagesInFlightAreFoundByHeartbeats) {
  for (int i = 0; i < 10; ++i) cluster.propose(1, "x");
  cluster.take<AppendEntries>(1, 2);  // all lost
  cluster.settle();
  EXPECT_EQ(cluster.payloads(2).size(), 0U);
  cluster.advance(100ms);
  EXPECT_EQ(cluster.payloads(2).size(), 10U);
}

TEST_F(Leader, LostAcknowledgementsAreFoundByHeartbeats) {
  cluster.cut_one_way(2, 1);
  cluster.cut_one_way(3, 1);
  cluster.propose(1, "x");
  cluster.settle();
  cluster.heal();
  EXPECT_EQ(cluster.raft(1).commit(), Index(base));
  cluster.advance(100ms);
  EXPECT_EQ(cluster.raft(1).commit(), Index(base + 1));
}

TEST_F(Leader, FollowersLearnOfACommitWithoutFurtherTraffic) {
  cluster.propose(1, "x");
  cluster.settle();  // no timer fires
  EXPECT_THAT(cluster.payloads(2), ElementsAre("x"));
  EXPECT_THAT(cluster.payloads(3), ElementsAre("x"));
}

TEST_F(Leader, AFollowerRestartedInTheSameTermLearnsTheCommitIndexFromHeartbeats) {
  cluster.propose(1, "x");
  cluster.settle();
  cluster.restart(2);
  EXPECT_THAT(cluster.payloads(2), IsEmpty());
  cluster.advance(100ms);
  EXPECT_THAT(cluster.payloads(2), ElementsAre("x"));
}

TEST_F(Leader, ProposalsElsewhereAreRefusedWithAHint) {
  cluster.propose(2, "x", 5);
  const auto refused = cluster.events<rl::Refused>(2);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].id, 5U);
  EXPECT_EQ(refused[0].reason, rl::Refusal::not_leader);
  EXPECT_EQ(refused[0].leader, NodeId(1));
}

TEST_F(Leader, UncommittedBytesAreBounded) {
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  for (int i = 0; i < 80; ++i) cluster.ask(1, rl::Propose{7, payloads_of(1, 1U << 20U)});
  cluster.wire.clear();
  const auto refused = cluster.events<rl::Refused>(1);
  EXPECT_THAT(refused, SizeIs(testing::Ge(16U)));
  for (const auto& r : refused) EXPECT_EQ(r.reason, rl::Refusal::busy);
}

TEST_F(Leader, ALeaderWithAStalledDiskHandsOver) {
  cluster.node(1).disk_works = false;
  cluster.propose(1, "x");
  cluster.advance(4 * T);
  ASSERT_TRUE(cluster.leader());
  EXPECT_NE(*cluster.leader(), 1U);
  cluster.propose(*cluster.leader(), "y");
  cluster.settle();
  EXPECT_THAT(cluster.payloads(*cluster.leader()), ElementsAre("x", "y"));
  EXPECT_THAT(cluster.violations, IsEmpty());
  cluster.advance(10s);
  EXPECT_NE(*cluster.leader(), 1U) << "and does not campaign while the disk stands still";
}

TEST_F(Leader, CommittedEntriesComeInOrderEachOnceInBoundedBatches) {
  for (int i = 0; i < 20; ++i) cluster.ask(1, rl::Propose{1, payloads_of(150)});
  cluster.settle();
  Index expected(base);
  for (const auto& batch : cluster.events<rl::Committed>(3)) {
    EXPECT_LE(batch.entries.size(), 1024U);
    for (const auto& e : batch.entries) EXPECT_EQ(e.index, ++expected);
  }
  EXPECT_EQ(expected, Index(base + 3000));
}

}  // namespace
}  // namespace quorate::raft::test
