// Leadership transfer: thesis §3.10.
#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto T = 150ms;

class RaftTransfer : public testing::Test {
 protected:
  RaftTransfer() : cluster(3) {
    cluster.start_all();
    cluster.elect(1);
    cluster.advance(60ms);
    cluster.forget_events();
  }
  void transfer(std::uint64_t to) { cluster.ask(1, rl::TransferLeadership{9, NodeId(to)}); }
  Cluster cluster;
};

TEST_F(RaftTransfer, Section3_10_TheTargetLeadsWithoutATimeout) {
  transfer(2);
  cluster.settle();
  EXPECT_EQ(cluster.leader(), 2U);
  EXPECT_EQ(cluster.events<rl::LeaderChanged>(1).back().leader, NodeId(2));
  EXPECT_THAT(cluster.events<rl::Refused>(1), IsEmpty());
}

TEST_F(RaftTransfer, Section3_10_ATargetThatLagsIsBroughtUpFirst) {
  cluster.cut(1, 2);
  cluster.propose(1, "a");
  cluster.settle();
  transfer(2);
  EXPECT_THAT(cluster.take<TimeoutNow>(1, 2), IsEmpty());
  cluster.heal();
  cluster.advance(100ms);
  EXPECT_EQ(cluster.leader(), 2U);
  EXPECT_THAT(cluster.payloads(2), ElementsAre("a"));
}

TEST_F(RaftTransfer, Section3_10_ProposalsAreRefusedMeanwhileAndTakenAgainAfterAnElectionTimeout) {
  cluster.cut(1, 2);
  cluster.propose(1, "a");
  cluster.settle();
  transfer(2);
  cluster.propose(1, "b", 4);
  ASSERT_THAT(cluster.events<rl::Refused>(1), SizeIs(1));
  EXPECT_EQ(cluster.events<rl::Refused>(1)[0].id, 4U);
  cluster.forget_events();
  cluster.advance(T + 30ms);
  ASSERT_THAT(cluster.events<rl::Refused>(1), SizeIs(1)) << "the transfer itself";
  EXPECT_EQ(cluster.events<rl::Refused>(1)[0].id, 9U);
  cluster.propose(1, "c");
  cluster.settle();
  EXPECT_THAT(cluster.payloads(1), ElementsAre("a", "c"));
}

TEST_F(RaftTransfer, ALostTimeoutNowIsSentAgain) {
  bool lose = true;
  cluster.passes = [&](const Packet& p) {
    return !std::holds_alternative<TimeoutNow>(p.message) || !std::exchange(lose, false);
  };
  transfer(3);
  cluster.advance(60ms);
  EXPECT_EQ(cluster.leader(), 3U);
}

TEST_F(RaftTransfer, OnlyAVoterCanBeTheTargetAndOnlyOneTransferRuns) {
  transfer(8);
  ASSERT_THAT(cluster.events<rl::Refused>(1), SizeIs(1));
  EXPECT_EQ(cluster.events<rl::Refused>(1)[0].reason, rl::Refusal::invalid);
  transfer(2);
  transfer(3);
  ASSERT_THAT(cluster.events<rl::Refused>(1), SizeIs(2));
  EXPECT_EQ(cluster.events<rl::Refused>(1)[1].reason, rl::Refusal::change_pending);
}

TEST_F(RaftTransfer, ATransferToTheLeaderItselfIsAnsweredAtOnce) {
  transfer(1);
  ASSERT_THAT(cluster.events<rl::LeaderChanged>(1), SizeIs(1));
  EXPECT_EQ(cluster.leader(), 1U);
}

TEST_F(RaftTransfer, TimeoutNowIsObeyedOnlyFromTheLeaderOfTheTerm) {
  const Epoch term = cluster.raft(2).term();
  cluster.inject(3, 2, TimeoutNow{term});
  cluster.inject(1, 2, TimeoutNow{term - 1});
  cluster.inject(1, 2, TimeoutNow{term + 1});
  EXPECT_EQ(cluster.raft(2).state(), State::follower);
  cluster.inject(1, 2, TimeoutNow{term});
  EXPECT_EQ(cluster.raft(2).state(), State::candidate) << "with no pre-vote, which the others would refuse";
}

}  // namespace
}  // namespace quorate::raft::test
