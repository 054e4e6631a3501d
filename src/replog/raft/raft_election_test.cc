// Elections: thesis §3.4, §3.6.1, §4.2.3, §6.2, §6.4.1, §9.6.
#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr auto T = 150ms;  // the default election time-out

Duration wait_of(Cluster& cluster, std::uint64_t id) {
  return cluster.node(id).timers.at(Raft::election_timer) - cluster.now;
}

TEST(RaftElection, Section3_4_TimeoutsAreRandomised) {
  std::set<Duration> seen;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Cluster cluster(3, seed);
    cluster.start(1);
    seen.insert(wait_of(cluster, 1));
    EXPECT_GE(wait_of(cluster, 1), T);
    EXPECT_LE(wait_of(cluster, 1), 2 * T);
  }
  EXPECT_THAT(seen, SizeIs(testing::Ge(19U)));
}

TEST(RaftElection, Section3_4_TimeoutsWidenWhileElectionsFailAndShrinkUnderALeader) {
  Cluster cluster(3);
  cluster.start(1);
  cluster.sync(1);
  Duration longest{};
  for (int i = 0; i < 20; ++i) {
    cluster.now += wait_of(cluster, 1);
    cluster.fire(1, Raft::election_timer);
    cluster.inject(2, 1, PreVoteReply{cluster.raft(1).term().next(), true, {}, {}});  // and then no vote
    cluster.sync(1);
    longest = std::max(longest, wait_of(cluster, 1));
  }
  EXPECT_GT(longest, 4 * T);
  cluster.inject(2, 1, Heartbeat{Epoch(99), Index(), 1});
  EXPECT_LE(wait_of(cluster, 1), 2 * T)
      << "the leader is missed no later for elections that failed before it";
  cluster.now += wait_of(cluster, 1);
  cluster.fire(1, Raft::election_timer);  // the leader is gone: the draw starts narrow again
  EXPECT_LE(wait_of(cluster, 1), 2 * T);
}

// A machine with all of them was paused: whatever fires first, nobody is held to have been silent.
TEST(RaftElection, APauseOfAllNodesCostsNoElection) {
  for (const std::uint64_t first : {1U, 2U, 3U}) {
    Cluster cluster(3);
    cluster.start_all();
    cluster.elect(1);
    cluster.node(1).disk_works = false;  // the pause comes between a write and its end
    cluster.propose(1, "under way");
    cluster.settle();
    cluster.forget_events();
    const Epoch term = cluster.raft(1).term();
    cluster.now += 10s;
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::uint64_t id = (first - 1 + i) % 3 + 1;
      cluster.fire(id, id == 1 ? Raft::heartbeat_timer : Raft::election_timer);
      cluster.fire(id, Raft::election_timer);  // had it been early, this one counts
    }
    cluster.node(1).disk_works = true;
    cluster.settle();
    cluster.advance(1s);
    for (const auto id : cluster.ids()) {
      EXPECT_THAT(cluster.events<rl::LeaderChanged>(id), IsEmpty()) << "node " << id << ", first " << first;
      EXPECT_EQ(cluster.raft(id).term(), term);
    }
    EXPECT_THAT(cluster.payloads(3), testing::ElementsAre("under way"));
  }
}

TEST(RaftElection, ALeaderThatIsAlwaysLateFindsOutAllTheSame) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  cluster.passes = [](const Packet& packet) { return packet.to != NodeId(1); };
  for (int i = 0; i < 4; ++i) {
    cluster.now += 10 * cluster.node(1).settings.heartbeat;
    cluster.fire(1, Raft::heartbeat_timer);
    cluster.settle();
  }
  EXPECT_NE(cluster.raft(1).state(), State::leader);
}

TEST(RaftElection, ALeaderThatDoesNotComeBackFromThePauseIsWaitedForOnce) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  cluster.crash(1);
  cluster.now += 10s;
  cluster.advance(4 * T);
  ASSERT_TRUE(cluster.leader());
  EXPECT_NE(cluster.leader(), 1U);
}

// Who is cut off is as fast as ever once the network is mended.
TEST(RaftElection, Section3_4_TimeoutsDoNotWidenWhileNobodyHears) {
  Cluster cluster(3);
  cluster.start(1);
  cluster.sync(1);
  for (int i = 0; i < 20; ++i) {
    cluster.now += wait_of(cluster, 1);
    cluster.fire(1, Raft::election_timer);
    EXPECT_LE(wait_of(cluster, 1), 2 * T);
  }
}

TEST(RaftElection, Section3_4_OneVoteATermAlsoAfterRestart) {
  Cluster cluster(3);
  cluster.start(1);
  const RequestVote request{Epoch(5), Index(), Epoch()};
  cluster.inject(2, 1, request);
  cluster.sync(1);
  cluster.inject(3, 1, request);
  EXPECT_TRUE(cluster.take<RequestVoteReply>(1, 2).at(0).vote_granted);
  EXPECT_FALSE(cluster.take<RequestVoteReply>(1, 3).at(0).vote_granted);
  cluster.restart(1);
  cluster.now += T;
  cluster.inject(3, 1, request);
  cluster.inject(2, 1, request);
  EXPECT_FALSE(cluster.take<RequestVoteReply>(1, 3).at(0).vote_granted);
  EXPECT_TRUE(cluster.take<RequestVoteReply>(1, 2).at(0).vote_granted) << "the same vote may be told again";
}

TEST(RaftElection, VoteReplyLeavesOnlyAfterTheVoteIsDurable) {
  Cluster cluster(3);
  cluster.start(1);
  cluster.sync(1);
  cluster.inject(2, 1, RequestVote{Epoch(5), Index(), Epoch()});
  EXPECT_THAT(cluster.wire, IsEmpty());
  cluster.sync(1);
  EXPECT_THAT(cluster.take<RequestVoteReply>(1, 2), SizeIs(1));
}

// It tells of the term, and what was told must outlive a crash.
TEST(RaftElection, PreVoteReplyLeavesOnlyAfterTheTermIsDurable) {
  Cluster cluster(3);
  cluster.start(1);
  cluster.sync(1);
  cluster.inject(2, 1, RequestVote{Epoch(5), Index(), Epoch()});
  cluster.inject(3, 1, PreVote{Epoch(2), Index(), Epoch()});
  EXPECT_THAT(cluster.take<PreVoteReply>(1, 3), IsEmpty());
  cluster.sync(1);
  const auto replies = cluster.take<PreVoteReply>(1, 3);
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_FALSE(replies[0].vote_granted);
  EXPECT_EQ(replies[0].term, Epoch(5));
}

TEST(RaftElection, ACrashBeforeTheVoteIsDurableLeavesNoTraceOfIt) {
  Cluster cluster(3);
  cluster.start(1);
  cluster.inject(2, 1, RequestVote{Epoch(5), Index(), Epoch()});
  cluster.crash(1);
  cluster.start(1);
  EXPECT_EQ(cluster.raft(1).term(), Epoch(0));
  EXPECT_THAT(cluster.wire, IsEmpty());
}

TEST(RaftElection, ACandidateCountsItsOwnVoteAndCanvassesOnlyWhenThatIsDurable) {
  Cluster cluster(3);
  cluster.start(1);
  cluster.sync(1);
  cluster.now += wait_of(cluster, 1);
  cluster.fire(1, Raft::election_timer);
  cluster.inject(2, 1, PreVoteReply{Epoch(1), true, Index(), Epoch()});
  EXPECT_EQ(cluster.raft(1).state(), State::candidate);
  EXPECT_THAT(cluster.take<RequestVote>(1, 2), IsEmpty());
  cluster.inject(2, 1, RequestVoteReply{Epoch(1), true});
  EXPECT_EQ(cluster.raft(1).state(), State::candidate) << "one durable vote of three";
  cluster.sync(1);
  EXPECT_THAT(cluster.take<RequestVote>(1, 2), SizeIs(1));
  EXPECT_EQ(cluster.raft(1).state(), State::leader);
}

// A disk that hangs must not make a candidate raise its term again and again.
TEST(RaftElection, NoFurtherElectionWhileTheLastVoteIsNotDurable) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.settle();
  cluster.node(1).disk_works = false;
  cluster.elect(1);
  ASSERT_EQ(cluster.raft(1).state(), State::candidate);
  const Epoch term = cluster.raft(1).term();
  for (int i = 0; i < 10; ++i) {
    cluster.now += 4 * T;
    cluster.fire(1, Raft::election_timer);
    for (const std::uint64_t other : {2, 3})
      cluster.inject(other, 1, PreVoteReply{term.next(), true, {}, {}});
    EXPECT_EQ(cluster.raft(1).term(), term);
  }
  EXPECT_THAT(cluster.take<RequestVote>(1, 2), IsEmpty());
  cluster.sync(1);
  EXPECT_THAT(cluster.take<RequestVote>(1, 2), SizeIs(1)) << "asked once it is durable";
}

TEST(RaftElection, Section3_6_1_OnlyACandidateWithAnUpToDateLogGetsTheVote) {
  struct Case {
    std::uint64_t last_index, last_term;
    bool granted;
  };
  for (const auto& c :
       {Case{3, 2, true}, Case{4, 2, true}, Case{2, 2, false}, Case{1, 3, true}, Case{9, 1, false}}) {
    for (const bool pre : {false, true}) {
      Cluster cluster(3);
      cluster.node(1).disk = recovered_with({1, 2, 2}, 3);
      cluster.start(1);
      cluster.sync(1);
      cluster.now += T;
      if (pre) {
        cluster.inject(2, 1, PreVote{Epoch(4), Index(c.last_index), Epoch(c.last_term)});
        EXPECT_EQ(cluster.take<PreVoteReply>(1, 2).at(0).vote_granted, c.granted);
      } else {
        cluster.inject(2, 1, RequestVote{Epoch(4), Index(c.last_index), Epoch(c.last_term)});
        cluster.sync(1);
        EXPECT_EQ(cluster.take<RequestVoteReply>(1, 2).at(0).vote_granted, c.granted);
      }
    }
  }
}

TEST(RaftElection, Section9_6_PreVoteChangesNeitherTermNorVote) {
  Cluster cluster(3);
  cluster.start(1);
  cluster.sync(1);
  cluster.inject(2, 1, PreVote{Epoch(7), Index(), Epoch()});
  EXPECT_TRUE(cluster.take<PreVoteReply>(1, 2).at(0).vote_granted);
  EXPECT_EQ(cluster.raft(1).term(), Epoch(0));
  EXPECT_TRUE(cluster.raft(1).voted_for().none());
  EXPECT_THAT(cluster.node(1).unsynced, IsEmpty());
  cluster.inject(3, 1, PreVote{Epoch(7), Index(), Epoch()});
  EXPECT_TRUE(cluster.take<PreVoteReply>(1, 3).at(0).vote_granted) << "it may be promised to many";
}

TEST(RaftElection, Section9_6_ANodeThatWasCutOffDoesNotRaiseTheTerm) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  const Epoch term = cluster.raft(1).term();
  cluster.cut(3, 1);
  cluster.cut(3, 2);
  cluster.advance(10s);
  EXPECT_EQ(cluster.raft(3).term(), term);
  cluster.heal();
  cluster.advance(1s);
  EXPECT_EQ(cluster.leader(), 1U);
  EXPECT_EQ(cluster.raft(1).term(), term);
  EXPECT_EQ(cluster.raft(3).leader(), NodeId(1));
}

TEST(RaftElection, Section4_2_3_VotesAreRefusedWhileALeaderIsLive) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  const Epoch term = cluster.raft(2).term();
  cluster.inject(3, 2, RequestVote{term.next(), Index(99), term});
  cluster.inject(3, 2, PreVote{term.next(), Index(99), term});
  cluster.inject(3, 1, RequestVote{term.next(), Index(99), term});
  cluster.sync(2);
  EXPECT_THAT(cluster.wire, IsEmpty());
  EXPECT_EQ(cluster.raft(2).term(), term);
  EXPECT_EQ(cluster.raft(1).state(), State::leader);
  cluster.now += T;
  cluster.inject(3, 2, RequestVote{term.next(), Index(99), term});
  cluster.sync(2);
  EXPECT_TRUE(cluster.take<RequestVoteReply>(2, 3).at(0).vote_granted);
}

TEST(RaftElection, Section4_2_3_AVoteAskedForByTheLeaderIsNotRefused) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  const Epoch term = cluster.raft(2).term();
  cluster.inject(3, 2, RequestVote{term.next(), Index(99), term, true});
  cluster.sync(2);
  EXPECT_TRUE(cluster.take<RequestVoteReply>(2, 3).at(0).vote_granted);
}

// 1. Node 2 answers a heartbeat of leader 1: the lease of 1 grows. 2. A late reply of an old exchange makes 2
// see a higher term and forget its leader. 3. Node 3 asks for a vote: granting it would break the lease.
TEST(RaftElection, Section6_4_1_ThePromiseToALeaderOutlivesAHigherTerm) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  const Epoch term = cluster.raft(2).term();
  cluster.inject(3, 2, RequestVoteReply{term + 3, false});
  EXPECT_EQ(cluster.raft(2).term(), term + 3);
  cluster.inject(3, 2, RequestVote{term + 4, Index(99), term});
  cluster.sync(2);
  EXPECT_THAT(cluster.take<RequestVoteReply>(2, 3), IsEmpty());
}

TEST(RaftElection, Section6_4_1_ARestartedNodeKeepsThePromiseItMayHaveGiven) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  const Epoch term = cluster.raft(2).term();
  cluster.restart(2);
  cluster.inject(3, 2, RequestVote{term.next(), Index(99), term});
  cluster.inject(3, 2, PreVote{term.next(), Index(99), term});
  EXPECT_EQ(cluster.raft(2).term(), term);
  EXPECT_THAT(cluster.wire, IsEmpty());
  cluster.now += T;
  cluster.inject(3, 2, RequestVote{term.next(), Index(99), term});
  cluster.sync(2);
  EXPECT_TRUE(cluster.take<RequestVoteReply>(2, 3).at(0).vote_granted);
}

TEST(RaftElection, Section6_2_ALeaderWithoutAQuorumStepsDown) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  cluster.propose(1, "a", 7);
  cluster.wire.clear();
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  cluster.forget_events();
  cluster.advance(T + 31ms);
  EXPECT_EQ(cluster.raft(1).state(), State::follower);
  const auto refused = cluster.events<rl::Refused>(1);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].id, 7U);
  EXPECT_EQ(refused[0].reason, rl::Refusal::lost_leadership);
}

TEST(RaftElection, Section4_1_RequestsOfNonMembersAreAnswered) {
  Cluster cluster(3);
  cluster.add(9, voters({1, 2, 3, 9}));
  cluster.start_all();
  cluster.sync(1);
  cluster.inject(9, 1, RequestVote{Epoch(2), Index(), Epoch()});
  cluster.sync(1);
  EXPECT_TRUE(cluster.take<RequestVoteReply>(1, 9).at(0).vote_granted);
}

TEST(RaftElection, LearnersAndNodesOutsideTheConfigurationDoNotCampaign) {
  Cluster cluster(0);
  cluster.add(1, {members({1, 2}, {3}), {}, {}});
  cluster.add(2, {members({1, 2}, {3}), {}, {}});
  cluster.add(3, {members({1, 2}, {3}), {}, {}});
  cluster.add(4, {});
  cluster.start(3);
  cluster.start(4);
  cluster.advance(10s);
  EXPECT_EQ(cluster.raft(3).state(), State::follower);
  EXPECT_EQ(cluster.raft(4).state(), State::follower);
  EXPECT_EQ(cluster.raft(3).term(), Epoch(0));
  cluster.start(1);
  cluster.start(2);
  cluster.advance(2s);
  EXPECT_TRUE(cluster.leader());
}

TEST(RaftElection, Section3_3_AHigherTermEndsLeadershipAndTheChangeIsTold) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect(1);
  cluster.forget_events();
  const Epoch term = cluster.raft(1).term();
  cluster.inject(2, 1, HeartbeatReply{term + 5, 1});
  EXPECT_EQ(cluster.raft(1).state(), State::follower);
  const auto changes = cluster.events<rl::LeaderChanged>(1);
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_TRUE(changes[0].leader.none());
  EXPECT_EQ(changes[0].epoch, term + 5);
}

}  // namespace
}  // namespace quorate::raft::test
