// A node whose log was damaged: the rules of rejoin.cc, and what would go wrong without them.
#include <gmock/gmock.h>

#include "core/codec.h"
#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

HardState hard_state(Cluster& cluster, std::uint64_t id) {
  return *codec::decode<HardState>(cluster.node(id).disk.records.at(hard_state_key));
}

class RaftRejoin : public testing::Test {
 protected:
  RaftRejoin() : cluster(3) {
    cluster.start_all();
    cluster.elect(1);
  }
  ~RaftRejoin() override { EXPECT_THAT(cluster.violations, IsEmpty()); }
  void propose(std::uint64_t id, int count) {
    for (int i = 0; i < count; ++i) cluster.propose(id, "p" + std::to_string(++proposed_));
    cluster.settle();
  }
  void damage(std::uint64_t id, bool keeps_state = true) {
    ASSERT_TRUE(cluster.damage(id, keeps_state));
    cluster.start(id);
    ASSERT_TRUE(cluster.raft(id).rejoining());
  }
  // What this node answers to a message of another.
  template <class M>
  std::vector<M> answers(std::uint64_t id, std::uint64_t from, Message message) {
    cluster.wire.clear();
    cluster.inject(from, id, std::move(message));
    cluster.sync(id);
    return cluster.take<M>(id, from);
  }
  Cluster cluster;

 private:
  int proposed_ = 0;
};

TEST_F(RaftRejoin, ItComesBackInALaterTermWithoutAVoteAndSaysSo) {
  propose(1, 3);
  const Epoch reached = cluster.raft(3).term();
  cluster.forget_events();
  damage(3);
  EXPECT_EQ(cluster.raft(3).term(), reached.next());
  EXPECT_EQ(cluster.raft(3).voted_for(), NodeId());
  EXPECT_EQ(cluster.raft(3).log().last(), Index());
  ASSERT_THAT(cluster.events<rl::Rejoining>(3), SizeIs(1));
  EXPECT_FALSE(cluster.events<rl::Rejoining>(3)[0].over);
}

TEST_F(RaftRejoin, TheLeaderOfATermWithLostEntriesIsNotObeyed) {
  propose(1, 3);
  const Epoch term = cluster.raft(1).term();
  damage(3);
  const auto replies = answers<AppendEntriesReply>(3, 1, AppendEntries{term, {}, {}, {}, Index()});
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_FALSE(replies[0].success);
  EXPECT_EQ(replies[0].term, term.next());
  EXPECT_THAT(answers<HeartbeatReply>(3, 1, Heartbeat{term, Index(), 7}), IsEmpty());
}

TEST_F(RaftRejoin, ItGivesNoVoteAndNoPreVote) {
  propose(1, 3);
  const Epoch later = cluster.raft(3).term() + 10;
  damage(3);
  cluster.now += 10s;
  const auto pre_votes = answers<PreVoteReply>(3, 2, PreVote{later, Index(100), later});
  ASSERT_THAT(pre_votes, SizeIs(1));
  EXPECT_FALSE(pre_votes[0].vote_granted);
  const auto votes = answers<RequestVoteReply>(3, 2, RequestVote{later, Index(100), later, true});
  ASSERT_THAT(votes, SizeIs(1));
  EXPECT_FALSE(votes[0].vote_granted);
  EXPECT_EQ(votes[0].term, later) << "of a later term it hears as ever";
  EXPECT_EQ(hard_state(cluster, 3).voted_for, NodeId());
}

TEST_F(RaftRejoin, ItDoesNotCampaignNorTakeOver) {
  propose(1, 3);
  damage(3);
  cluster.wire.clear();
  cluster.now += 10s;
  cluster.fire(3, Raft::election_timer);
  EXPECT_EQ(cluster.raft(3).state(), State::follower);
  const Epoch later = cluster.raft(3).term() + 1;
  cluster.inject(2, 3, Heartbeat{later, Index(), 1});
  cluster.inject(2, 3, TimeoutNow{later});
  EXPECT_EQ(cluster.raft(3).state(), State::follower);
  EXPECT_EQ(cluster.raft(3).term(), later);
}

// Committed by node 1 and node 3; node 2 lacks it. Node 3 loses its log, node 1 goes away: with the vote of
// node 3, node 2 would lead without the entry.
TEST_F(RaftRejoin, WhatItHelpedToCommitIsNotOutvotedByIt) {
  cluster.cut(1, 2);
  cluster.cut(2, 3);
  propose(1, 3);
  EXPECT_THAT(cluster.payloads(1), SizeIs(3));
  damage(3);
  cluster.crash(1);
  cluster.heal();
  cluster.advance(20s);
  EXPECT_EQ(cluster.leader(), std::nullopt);
  EXPECT_TRUE(cluster.raft(3).rejoining());
  cluster.start(1);
  cluster.advance(5s);
  ASSERT_EQ(cluster.leader(), 1U) << "the only one whose log holds it";
  EXPECT_FALSE(cluster.raft(3).rejoining());
  EXPECT_THAT(cluster.payloads(3), ElementsAre("p1", "p2", "p3"));
}

TEST_F(RaftRejoin, OnceItHasAnEntryOfALaterTermItVotesAgain) {
  propose(1, 3);
  damage(3);
  cluster.advance(5s);  // its term makes the leader go; the others elect one
  EXPECT_FALSE(cluster.raft(3).rejoining());
  EXPECT_FALSE(cluster.node(3).disk.records.contains(lost_key));
  ASSERT_FALSE(cluster.events<rl::Rejoining>(3).empty());
  EXPECT_TRUE(cluster.events<rl::Rejoining>(3).back().over);
  EXPECT_EQ(cluster.payloads(3), cluster.payloads(1));
  const auto leader = *cluster.leader();
  cluster.crash(leader);
  cluster.advance(5s);
  EXPECT_TRUE(cluster.leader());
}

TEST_F(RaftRejoin, EntriesOfTheLostTermsDoNotMakeUpForThem) {
  propose(1, 3);
  const Epoch lost = cluster.raft(3).term();
  damage(3);
  // As from a leader of a later term that has not come to its own entry yet.
  cluster.inject(2, 3,
                 AppendEntries{lost + 5, {}, {}, {entry(lost.value, 1), entry(lost.value, 2)}, Index()});
  cluster.sync(3);
  EXPECT_EQ(cluster.raft(3).durable(), Index(2));
  EXPECT_TRUE(cluster.raft(3).rejoining());
  cluster.inject(2, 3, AppendEntries{lost + 5, Index(2), lost, {entry(lost.value + 5, 3)}, Index()});
  EXPECT_TRUE(cluster.raft(3).rejoining()) << "in memory only";
  cluster.sync(3);
  EXPECT_FALSE(cluster.raft(3).rejoining());
}

TEST_F(RaftRejoin, TheMarkOutlivesRestarts) {
  propose(1, 3);
  damage(3);
  cluster.cut(1, 3);
  cluster.cut(2, 3);
  for (int i = 0; i < 3; ++i) {
    cluster.advance(1s);
    cluster.restart(3);
    EXPECT_TRUE(cluster.raft(3).rejoining());
  }
  cluster.heal();
  cluster.advance(5s);
  EXPECT_FALSE(cluster.raft(3).rejoining());
  cluster.restart(3);
  EXPECT_FALSE(cluster.raft(3).rejoining());
}

TEST_F(RaftRejoin, ASecondDamageCountsFromTheTermOfThen) {
  propose(1, 3);
  damage(3);
  cluster.cut(1, 3);
  cluster.advance(10s);
  const Epoch reached = hard_state(cluster, 3).term;
  damage(3);
  EXPECT_EQ(cluster.raft(3).term(), reached.next());
  cluster.heal();
  cluster.advance(5s);
  EXPECT_FALSE(cluster.raft(3).rejoining());
  EXPECT_EQ(cluster.payloads(3), cluster.payloads(1));
}

TEST_F(RaftRejoin, ALeaderMayLoseItsLog) {
  propose(1, 3);
  damage(1);
  cluster.advance(5s);
  ASSERT_TRUE(cluster.leader());
  EXPECT_NE(cluster.leader(), 1U);
  EXPECT_FALSE(cluster.raft(1).rejoining());
  EXPECT_THAT(cluster.payloads(1), ElementsAre("p1", "p2", "p3"));
}

TEST_F(RaftRejoin, TheStateOfItsSnapshotIsWhereItBegins) {
  propose(1, 3);
  Node& n = cluster.node(3);
  const Index index = n.raft->applied();
  n.received[index] = n.state;
  cluster.ask(3, rl::SnapshotAvailable{SnapshotMeta{index, {}, {}, {}}});
  cluster.settle();
  damage(3);
  EXPECT_EQ(cluster.raft(3).commit(), index);
  EXPECT_EQ(cluster.raft(3).log().last(), index);
  cluster.advance(5s);
  EXPECT_FALSE(cluster.raft(3).rejoining());
  EXPECT_THAT(cluster.payloads(3), ElementsAre("p1", "p2", "p3"));
}

TEST_F(RaftRejoin, IfAQuorumLostEntriesNobodyLeads) {
  propose(1, 3);
  damage(3);
  damage(1);
  cluster.advance(20s);
  EXPECT_EQ(cluster.leader(), std::nullopt);
}

// What is refused.

std::map<RecordKey, Bytes> records_of(const Membership& initial) {
  return {{hard_state_key, codec::encode(HardState{Epoch(4), NodeId(2)})},
          {initial_key, codec::encode(initial)}};
}

TEST(RaftRejoinRefused, WhereNoOthersAreAQuorum) {
  EXPECT_FALSE(rejoin(NodeId(1), records_of(voters({1})), {}));
  EXPECT_FALSE(rejoin(NodeId(1), records_of(voters({1, 2})), {}));
  EXPECT_TRUE(rejoin(NodeId(1), records_of(voters({1, 2, 3})), {}));
  EXPECT_TRUE(rejoin(NodeId(3), records_of(voters({1, 2})), {})) << "a learner";
  Membership joint = voters({1, 2, 3});
  joint.outgoing = {NodeId(1), NodeId(2)};
  EXPECT_FALSE(rejoin(NodeId(1), records_of(voters({1, 2, 3})), SnapshotMeta{Index(9), Epoch(3), joint, {}}));
}

// The state is lost, too; who took part last is known from the log behind it.
TEST(RaftRejoinWithoutState, BeginsAtIndexZeroWithTheMembersThatTheLogKnew) {
  const SnapshotMeta none{Index(), Epoch(), voters({1, 4, 5}), {}};
  const auto writes = rejoin(NodeId(1), records_of(voters({1, 2, 3})), none);
  ASSERT_TRUE(writes) << writes.error();
  std::map<RecordKey, Bytes> records;
  for (const auto& write : *writes) {
    ASSERT_TRUE(std::holds_alternative<PutRecord>(write)) << "no snapshot of what is not there";
    records[std::get<PutRecord>(write).key] = std::get<PutRecord>(write).value;
  }
  EXPECT_EQ(codec::decode<HardState>(records.at(hard_state_key))->term, Epoch(5));
  EXPECT_EQ(codec::decode<Lost>(records.at(lost_key))->term, Epoch(4));
  EXPECT_EQ(*codec::decode<Membership>(records.at(initial_key)), none.membership);
  EXPECT_FALSE(rejoin(NodeId(1), records_of(voters({1, 2, 3})), SnapshotMeta{{}, {}, voters({1, 2}), {}}));
}

TEST(RaftRejoinRefused, WhereTermAndVoteAreNotKnown) {
  auto records = records_of(voters({1, 2, 3}));
  records[hard_state_key] = Bytes::copy("\xff");
  EXPECT_FALSE(rejoin(NodeId(1), records, {}));
  records.erase(hard_state_key);
  EXPECT_FALSE(rejoin(NodeId(1), records, {}));
}

TEST(RaftRejoinRefused, WhereTheMembersAreNotKnown) {
  auto records = records_of(voters({1, 2, 3}));
  records.erase(initial_key);
  EXPECT_FALSE(rejoin(NodeId(1), records, {}));
  EXPECT_FALSE(rejoin(NodeId(1), records, SnapshotMeta{Index(9), Epoch(3), {}, {}}));
}

}  // namespace
}  // namespace quorate::raft::test
