// Linearizable reads: thesis §6.4 (read-index, follower reads) and §6.4.1 (leases).
#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr auto T = 150ms;
constexpr auto heartbeat = 30ms;

class RaftReads : public testing::Test {
 protected:
  RaftReads() : cluster(3) {
    cluster.start_all();
    cluster.elect(1);
    cluster.advance(2 * heartbeat);
    cluster.forget_events();
    term = cluster.raft(1).term();
  }
  void read(std::uint64_t at, std::uint64_t id, rl::ReadMode mode = rl::ReadMode::quorum) {
    cluster.ask(at, rl::ReadBarrier{id, mode});
  }
  std::vector<std::uint64_t> served(std::uint64_t at) {
    std::vector<std::uint64_t> ids;
    for (const auto& ready : cluster.events<rl::ReadReady>(at))
      ids.insert(ids.end(), ready.ids.begin(), ready.ids.end());
    return ids;
  }
  std::uint64_t last_round(std::uint64_t to) {
    const auto sent = cluster.take<Heartbeat>(1, to);
    return sent.empty() ? 0 : sent.back().round;
  }
  Cluster cluster;
  Epoch term;
};

TEST_F(RaftReads, Section6_4_AReadWaitsForAHeartbeatQuorumSentAfterIt) {
  read(1, 10);
  EXPECT_THAT(served(1), IsEmpty());
  const auto round = last_round(2);
  ASSERT_GT(round, 0U);
  cluster.inject(2, 1, HeartbeatReply{term, round - 1});
  EXPECT_THAT(served(1), IsEmpty()) << "an answer to an earlier round says nothing";
  cluster.inject(2, 1, HeartbeatReply{term - 1, round});
  EXPECT_THAT(served(1), IsEmpty()) << "nor does one of another term";
  cluster.inject(2, 1, HeartbeatReply{term, round + 5});
  EXPECT_THAT(served(1), IsEmpty()) << "nor one to a round never sent";
  cluster.inject(2, 1, HeartbeatReply{term, round});
  EXPECT_THAT(served(1), ElementsAre(10));
  EXPECT_EQ(cluster.events<rl::ReadReady>(1)[0].index, cluster.raft(1).commit());
}

TEST_F(RaftReads, Section6_4_ReadsThatComeWhileARoundIsOutShareTheNext) {
  read(1, 10);
  const auto first = last_round(2);
  read(1, 11);
  read(1, 12);
  EXPECT_EQ(last_round(2), 0U) << "no round for each read";
  cluster.inject(2, 1, HeartbeatReply{term, first});
  EXPECT_THAT(served(1), ElementsAre(10));
  const auto second = last_round(2);
  EXPECT_GT(second, first);
  cluster.inject(2, 1, HeartbeatReply{term, second});
  EXPECT_THAT(served(1), ElementsAre(10, 11, 12));
}

// The round was sent to a quorum of two; the leader alone is one before anybody answers.
TEST_F(RaftReads, Section6_4_AReadUnderWayEndsWhenTheLeaderBecomesItsOwnQuorum) {
  cluster.passes = [](const Packet& p) { return !std::holds_alternative<HeartbeatReply>(p.message); };
  read(1, 10);
  read(1, 11);
  cluster.settle();
  EXPECT_THAT(served(1), IsEmpty());
  cluster.ask(1, rl::Reconfigure{1, members({1})});
  cluster.settle();
  EXPECT_THAT(served(1), ElementsAre(10, 11));
  read(1, 12);
  EXPECT_THAT(served(1), ElementsAre(10, 11, 12));
}

TEST_F(RaftReads, Section6_4_NoReadBeforeAnEntryOfTheOwnTermIsCommitted) {
  cluster.propose(1, "a");
  cluster.settle();
  cluster.passes = [](const Packet& p) { return !std::holds_alternative<AppendEntries>(p.message); };
  cluster.elect(2);
  ASSERT_EQ(cluster.raft(2).state(), State::leader);
  read(2, 10, rl::ReadMode::lease);
  read(2, 11);
  cluster.advance(heartbeat);
  EXPECT_THAT(served(2), IsEmpty());
  cluster.passes = {};
  cluster.advance(3 * heartbeat);
  EXPECT_THAT(served(2), UnorderedElementsAre(10, 11));
  EXPECT_GE(cluster.events<rl::ReadReady>(2)[0].index, Index(3));
}

TEST_F(RaftReads, Section6_4_1_ALeaseReadNeedsNoMessage) {
  cluster.wire.clear();
  read(1, 10, rl::ReadMode::lease);
  EXPECT_THAT(served(1), ElementsAre(10));
  EXPECT_THAT(cluster.wire, IsEmpty());
}

TEST_F(RaftReads, Section6_4_1_TheLeaseRunsFromTheSendTimeAndIsShortenedByTheDriftBound) {
  const Instant sent = cluster.now;
  cluster.fire(1, Raft::heartbeat_timer);
  const auto round = last_round(2);
  cluster.wire.clear();
  cluster.now += 100ms;  // the answer takes its time: that is not granted to the leader
  cluster.inject(2, 1, HeartbeatReply{term, round});
  const auto length = Duration(T) * 1'000'000 / 1'010'000;
  EXPECT_TRUE(cluster.raft(1).lease_valid(sent + length - 1ns));
  EXPECT_FALSE(cluster.raft(1).lease_valid(sent + length));
  EXPECT_LT(length, T);
}

TEST_F(RaftReads, Section6_4_1_WithoutALeaseTheQuorumIsAsked) {
  cluster.now += T;
  read(1, 10, rl::ReadMode::lease);
  EXPECT_THAT(served(1), IsEmpty());
  cluster.settle();
  EXPECT_THAT(served(1), ElementsAre(10));
}

TEST_F(RaftReads, Section6_4_1_TheLeaseEndsBeforeATransferAndDoesNotComeBackInThisTerm) {
  ASSERT_TRUE(cluster.raft(1).lease_valid(cluster.now));
  cluster.passes = [](const Packet& p) { return !std::holds_alternative<TimeoutNow>(p.message); };
  cluster.ask(1, rl::TransferLeadership{1, NodeId(2)});
  EXPECT_FALSE(cluster.raft(1).lease_valid(cluster.now));
  cluster.advance(2 * T);  // given up: but a TimeoutNow may still be on its way
  EXPECT_EQ(cluster.raft(1).state(), State::leader);
  EXPECT_FALSE(cluster.raft(1).lease_valid(cluster.now));
}

TEST_F(RaftReads, Section6_4_1_NoOtherLeaderIsElectedWhileTheLeaseRuns) {
  // Leader 1 is cut off right after its heartbeat was answered; others campaign as early as they can.
  cluster.fire(1, Raft::heartbeat_timer);
  cluster.settle();
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  while (cluster.raft(1).lease_valid(cluster.now)) {
    for (const std::uint64_t id : {2, 3}) {
      EXPECT_NE(cluster.raft(id).state(), State::leader);
      cluster.fire(id, Raft::election_timer);
    }
    cluster.settle();
    cluster.now += 1ms;
  }
  cluster.advance(20 * T);
  EXPECT_NE(cluster.leader(), 1U);
  ASSERT_TRUE(cluster.leader());
}

TEST_F(RaftReads, Section6_4_AFollowerAsksTheLeaderForTheIndex) {
  cluster.propose(1, "a");
  cluster.settle();
  read(2, 10);
  cluster.settle();
  EXPECT_THAT(served(2), ElementsAre(10));
  EXPECT_EQ(cluster.events<rl::ReadReady>(2)[0].index, cluster.raft(1).commit());
}

TEST_F(RaftReads, FollowerReadsAreBatched) {
  for (std::uint64_t id = 10; id < 20; ++id) read(2, id);
  EXPECT_THAT(cluster.take<ReadIndex>(2, 1), SizeIs(1));
  cluster.advance(4 * heartbeat);
  EXPECT_THAT(served(2), SizeIs(10));
}

TEST_F(RaftReads, ALostFollowerReadIsAskedAgain) {
  bool lose = true;
  cluster.passes = [&](const Packet& p) {
    return !std::holds_alternative<ReadIndexReply>(p.message) || !std::exchange(lose, false);
  };
  read(2, 10);
  cluster.advance(4 * heartbeat);
  EXPECT_THAT(served(2), ElementsAre(10));
}

TEST_F(RaftReads, AFollowerReadWithoutAnAnswerIsRefusedInTheEnd) {
  cluster.passes = [&](const Packet& p) { return !std::holds_alternative<ReadIndexReply>(p.message); };
  read(2, 10);
  cluster.advance(4 * T);
  const auto refused = cluster.events<rl::Refused>(2);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].id, 10U);
}

TEST_F(RaftReads, AFollowersRequestsTakeOnePlaceAtTheLeader) {
  read(1, 10);
  const auto round = last_round(2);
  for (const std::uint64_t id : {5, 7, 6}) cluster.inject(3, 1, ReadIndex{id, rl::ReadMode::quorum});
  cluster.inject(2, 1, HeartbeatReply{term, round});
  EXPECT_THAT(served(1), ElementsAre(10));
  EXPECT_THAT(cluster.take<ReadIndexReply>(1, 3), IsEmpty()) << "that round was sent before they came";
  cluster.inject(2, 1, HeartbeatReply{term, last_round(2)});
  const auto replies = cluster.take<ReadIndexReply>(1, 3);
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].id, 7U);
  EXPECT_TRUE(replies[0].success);
}

TEST_F(RaftReads, ReadsAreBoundedWhicheverRoundTheyWaitFor) {
  constexpr std::uint64_t most = 65'536;
  for (std::uint64_t id = 1; id <= most; ++id) {
    read(1, id);
    if (id % (most / 3) == 0) cluster.fire(1, Raft::heartbeat_timer);  // a round nobody answers yet
  }
  EXPECT_THAT(cluster.events<rl::Refused>(1), IsEmpty());
  read(1, most + 1);
  const auto refused = cluster.events<rl::Refused>(1);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].id, most + 1);
  EXPECT_EQ(refused[0].reason, rl::Refusal::busy);
  read(2, 10);  // a follower's reads take no such place
  cluster.settle();
  EXPECT_THAT(served(1), SizeIs(most));
  EXPECT_THAT(served(2), ElementsAre(10));
  EXPECT_THAT(cluster.events<rl::Refused>(2), IsEmpty());
}

TEST_F(RaftReads, AReadForwardedToALeaderThatIsGoneIsRefusedAndCanGoToTheNext) {
  cluster.passes = [](const Packet& p) { return p.from != NodeId(1) && p.to != NodeId(1); };
  read(2, 10);
  cluster.elect(3);
  ASSERT_EQ(cluster.raft(2).leader(), NodeId(3));
  const auto refused = cluster.events<rl::Refused>(2);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].id, 10U);
  read(2, 11);
  cluster.settle();
  EXPECT_THAT(served(2), ElementsAre(11));
}

TEST_F(RaftReads, AnAnswerToARequestOfBeforeARestartServesNothing) {
  read(2, 10);
  const auto asked = cluster.take<ReadIndex>(2, 1);
  ASSERT_THAT(asked, SizeIs(1));
  cluster.restart(2);
  cluster.advance(heartbeat);
  cluster.passes = [](const Packet& p) { return !std::holds_alternative<ReadIndex>(p.message); };
  read(2, 11);
  cluster.inject(1, 2, ReadIndexReply{asked[0].id, true, Index(1)});
  EXPECT_THAT(served(2), IsEmpty());
}

TEST_F(RaftReads, LosingLeadershipRefusesTheReadsThatWait) {
  read(1, 10);
  read(1, 11);
  cluster.inject(2, 1, HeartbeatReply{term + 1, 1});
  EXPECT_THAT(cluster.events<rl::Refused>(1), SizeIs(2));
  EXPECT_THAT(served(1), IsEmpty());
}

TEST_F(RaftReads, WithoutALeaderAReadIsRefusedAtOnce) {
  Cluster other(3);
  other.start(1);
  other.ask(1, rl::ReadBarrier{10, rl::ReadMode::quorum});
  ASSERT_THAT(other.events<rl::Refused>(1), SizeIs(1));
  EXPECT_EQ(other.events<rl::Refused>(1)[0].reason, rl::Refusal::no_leader);
}

TEST_F(RaftReads, AnIsolatedLeaderServesNoQuorumRead) {
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  read(1, 10);
  cluster.advance(10 * T);
  EXPECT_THAT(served(1), IsEmpty());
  EXPECT_THAT(cluster.events<rl::Refused>(1), SizeIs(1));
}

// A leader makes itself a learner. Whoever is left is its own quorum from then on, and its answers alone
// extend the lease of the leader that does not know yet that the change is committed.
TEST(RaftReadsOfTwo, Section6_4_1_WhoIsItsOwnQuorumKeepsWhatItPromisedThroughARestart) {
  Cluster cluster(2);
  cluster.start_all();
  cluster.elect(2);
  cluster.passes = [&](const Packet& p) {
    const bool changed =
        cluster.up(1) && cluster.raft(1).membership() == Membership{members({1}, {2}), {}, {}};
    return !(changed && p.from == NodeId(1) && std::holds_alternative<AppendEntriesReply>(p.message));
  };
  cluster.ask(2, rl::Reconfigure{1, members({1}, {2})});
  cluster.advance(40ms);
  ASSERT_EQ(cluster.raft(2).state(), State::leader);
  ASSERT_TRUE(cluster.raft(2).lease_valid(cluster.now));
  cluster.restart(1);
  cluster.sync(1);
  EXPECT_EQ(cluster.raft(1).state(), State::follower);
  cluster.passes = nullptr;
  cluster.cut(1, 2);
  while (cluster.raft(1).state() != State::leader) {
    cluster.advance(1ms);
    ASSERT_FALSE(cluster.raft(1).state() == State::leader && cluster.raft(2).lease_valid(cluster.now));
    ASSERT_LT(cluster.now, Instant(std::chrono::hours(2)));
  }
  EXPECT_EQ(cluster.violations, std::vector<std::string>{});
}

}  // namespace
}  // namespace quorate::raft::test
