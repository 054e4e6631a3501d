// Input that no correct peer sends: dropped, with the state unchanged; and recovery of what can not be.
#include <gmock/gmock.h>

#include "core/codec.h"
#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t max = UINT64_MAX;

class RaftInput : public testing::Test {
 protected:
  RaftInput() : cluster(3) {
    cluster.start_all();
    cluster.elect(1);
    cluster.propose(1, "a");
    cluster.settle();
    term = cluster.raft(1).term();
  }
  void expect_dropped(std::uint64_t from, std::uint64_t to, Message message) {
    const auto before = cluster.raft(to).describe();
    const auto text = codec::to_json(message);
    cluster.inject(from, to, std::move(message));
    EXPECT_EQ(cluster.raft(to).describe(), before) << text;
    EXPECT_THAT(cluster.violations, IsEmpty()) << text;
  }
  Cluster cluster;
  Epoch term;
};

TEST_F(RaftInput, ImpossibleTermsAreDropped) {
  for (const std::uint64_t t : {max, max - 1, std::uint64_t{1} << 40U}) {
    expect_dropped(3, 2, RequestVote{Epoch(t), Index(9), Epoch(9), true});
    expect_dropped(3, 2, PreVote{Epoch(t), Index(9), Epoch(9)});
    expect_dropped(3, 2, AppendEntries{Epoch(t), Index(), Epoch(), {}, Index()});
    expect_dropped(3, 2, Heartbeat{Epoch(t), Index(), 1});
    expect_dropped(2, 1, AppendEntriesReply{Epoch(t), false, Index(), Epoch(), Index()});
    expect_dropped(2, 1, HeartbeatReply{Epoch(t), 1});
    expect_dropped(2, 1, RequestVoteReply{Epoch(t), false});
    expect_dropped(2, 1, PreVoteReply{Epoch(t), false, Index(), Epoch()});
  }
}

// Even a node whose term was driven up step by step keeps room for the terms of elections.
TEST_F(RaftInput, TermsNearTheEndOfTheNumbersAreDropped) {
  constexpr std::uint64_t end = std::uint64_t{1} << 62U;
  Cluster high(3);
  high.node(1).disk = recovered_with({1}, end - 2);
  high.start_all();
  ASSERT_THAT(high.events<rl::Halt>(1), IsEmpty());
  for (const std::uint64_t t : {end, end + 1, max - 1, max}) {
    high.inject(3, 1, RequestVote{Epoch(t), Index(9), Epoch(9), true});
    EXPECT_EQ(high.raft(1).term(), Epoch(end - 2)) << t;
  }
  high.crash(1);
  high.node(1).disk = recovered_with({1}, end);
  high.start(1);
  EXPECT_THAT(high.events<rl::Halt>(1), SizeIs(1));
}

TEST_F(RaftInput, GapsAndDisorderAmongEntriesAreDropped) {
  const auto append = [&](std::uint64_t prev, std::uint64_t prev_term, std::vector<Entry> entries) {
    expect_dropped(1, 2, AppendEntries{term, Index(prev), Epoch(prev_term), std::move(entries), Index()});
  };
  append(2, 1, {entry(1, 4)});               // a gap behind prev
  append(2, 1, {entry(1, 3), entry(1, 5)});  // a gap between
  append(2, 1, {entry(9, 3)});               // a term beyond the message's
  append(2, 1, {entry(0, 3)});               // no term
  auto strange = entry(1, 3);
  strange.kind = static_cast<EntryKind>(3);
  append(2, 1, {strange});
  append(0, 1, {});               // a term at index 0
  append(2, 0, {});               // no term at an index
  append(max, 1, {entry(1, 0)});  // an index that overflows
  append(max - 1, 1, {entry(1, max)});
}

TEST_F(RaftInput, ACommitIndexBehindTheLogIsNotBelieved) {
  expect_dropped(1, 2, Heartbeat{term, Index(99), 1});
  expect_dropped(1, 2, CommitIndex{term, Index(max)});
  cluster.inject(1, 2, AppendEntries{term, Index(2), term, {}, Index(max)});
  EXPECT_EQ(cluster.raft(2).commit(), Index(2));
}

TEST_F(RaftInput, AcknowledgementsOfWhatWasNeverSentAreDropped) {
  expect_dropped(2, 1, AppendEntriesReply{term, true, Index(99), Epoch(), Index()});
  expect_dropped(9, 1, AppendEntriesReply{term + 1, true, Index(2), Epoch(), Index()});  // an alien
  expect_dropped(9, 1, HeartbeatReply{term + 1, 1});
}

TEST_F(RaftInput, ASecondLeaderOfTheSameTermIsNotFollowed) {
  expect_dropped(3, 2, Heartbeat{term, Index(), 1});
  expect_dropped(3, 1, AppendEntries{term, Index(2), term, {entry(term.value, 3)}, Index(3)});
}

TEST_F(RaftInput, OwnMessagesAndNamelessOnesAreDropped) {
  expect_dropped(2, 2, Heartbeat{term + 1, Index(), 1});
  expect_dropped(0, 2, Heartbeat{term + 1, Index(), 1});
}

TEST_F(RaftInput, AnEntryWithAMembershipThatMeansNothingIsDropped) {
  for (const auto& bytes :
       {Bytes::literal("\xff\xff\xff"), codec::encode(Membership{}),
        codec::encode(Membership{{{NodeId(2), Role::voter, {}}, {NodeId(1), Role::voter, {}}}, {}, {}})}) {
    expect_dropped(
        1, 2, AppendEntries{term, Index(2), term, {{term, Index(3), EntryKind::membership, bytes}}, Index()});
  }
}

TEST_F(RaftInput, StrangeRequestsAndTimersAreAnsweredOrIgnored) {
  cluster.fire(1, TimerId(99));
  cluster.fire(2, Raft::heartbeat_timer);
  cluster.fire(2, Raft::read_timer);
  cluster.fire(1, Raft::election_timer);
  cluster.ask(1, rl::Propose{1, {}});
  cluster.ask(1, rl::SnapshotDelivered{NodeId(2), Index(max), true});
  cluster.ask(1, rl::SnapshotDelivered{NodeId(77), Index(1), true});
  cluster.ask(1, rl::SnapshotAvailable{});
  cluster.inject(2, 1, ReadIndexReply{max, true, Index(max)});
  cluster.settle();
  EXPECT_EQ(cluster.leader(), 1U);
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST_F(RaftInput, ALeaderThatContradictsACommittedEntryStopsTheNode) {
  cluster.inject(3, 2, AppendEntries{term + 1, Index(1), term, {entry(term.value + 1, 2)}, Index()});
  const auto halts = cluster.events<rl::Halt>(2);
  ASSERT_THAT(halts, SizeIs(1));
  EXPECT_THAT(halts[0].reason, testing::HasSubstr("committed entry"));
  cluster.violations.clear();
  cluster.inject(3, 2, Heartbeat{term + 2, Index(), 1});
  EXPECT_THAT(cluster.wire, IsEmpty()) << "and it stays silent";
}

TEST_F(RaftInput, RandomMessagesNeverBreakAnInvariant) {
  Rng rng(7);
  for (int round = 0; round < 200; ++round) {
    Cluster target(3, static_cast<std::uint64_t>(round) + 1);
    target.start_all();
    if (round % 2 == 0) target.elect(1);
    for (int i = 0; i < 300; ++i) {
      const auto small = [&] { return rng.chance(0.9) ? rng.below(6) : rng.next(); };
      std::vector<Entry> entries;
      const auto first = small();
      for (std::uint64_t n = 0, count = rng.below(4); n < count; ++n) {
        entries.push_back({Epoch(small()), Index(rng.chance(0.8) ? first + 1 + n : small()),
                           static_cast<EntryKind>(rng.below(3)), Bytes::literal("\x01\x02")});
      }
      const std::vector<Message> any = {
          RequestVote{Epoch(small()), Index(small()), Epoch(small()), rng.chance(0.5)},
          RequestVoteReply{Epoch(small()), rng.chance(0.5)},
          PreVote{Epoch(small()), Index(small()), Epoch(small())},
          PreVoteReply{Epoch(small()), rng.chance(0.5), Index(small()), Epoch(small())},
          AppendEntries{Epoch(small()), Index(first), Epoch(small()), entries, Index(small())},
          AppendEntriesReply{Epoch(small()), rng.chance(0.5), Index(small()), Epoch(small()), Index(small())},
          Heartbeat{Epoch(small()), Index(small()), small()},
          HeartbeatReply{Epoch(small()), small()},
          CommitIndex{Epoch(small()), Index(small())},
          ReadIndex{small(), rl::ReadMode::quorum},
          ReadIndexReply{small(), rng.chance(0.5), Index(small())},
          TimeoutNow{Epoch(small())},
          CatchUp{Index(small()), Epoch(small())},
          CatchUpReply{Epoch(small()), Index(first), Epoch(small()), entries},
      };
      target.inject(rng.below(5), 1 + rng.below(3), any[rng.below(any.size())]);
      for (const auto id : target.ids()) {
        if (auto broken = target.raft(id).check_invariants()) FAIL() << *broken;
        if (rng.chance(0.5)) target.sync_one(id);
      }
    }
  }
}

TEST(RaftRecovery, WhatContradictsItselfHaltsTheNodeAtStart) {
  const auto halted = [](Recovered disk) {
    Cluster cluster(3);
    cluster.node(1).disk = std::move(disk);
    if (cluster.node(1).disk.snapshot) cluster.node(1).received[cluster.node(1).disk.snapshot->index] = {};
    cluster.start(1);
    return !cluster.events<rl::Halt>(1).empty();
  };
  const SnapshotMeta snapshot{Index(3), Epoch(1), voters({1, 2, 3}), {}};
  EXPECT_FALSE(halted(recovered_with({1, 1, 2}, 2)));
  auto gap = recovered_with({1, 1, 2}, 2);
  gap.log.erase(gap.log.begin() + 1);
  EXPECT_TRUE(halted(gap));
  auto headless = recovered_with({1, 1, 2}, 2);
  headless.log.erase(headless.log.begin());
  EXPECT_TRUE(halted(headless));
  EXPECT_TRUE(halted(recovered_with({2, 1}, 2)));
  auto garbled = recovered_with({1}, 2);
  garbled.records[hard_state_key] = Bytes::literal("\xff\xff");
  EXPECT_TRUE(halted(garbled));
  auto behind = recovered_with({1, 1, 1, 1, 1}, 2);
  behind.snapshot = snapshot;
  EXPECT_FALSE(halted(behind)) << "a log may begin in front of the snapshot";
  behind.log.erase(behind.log.begin(), behind.log.begin() + 3);
  EXPECT_FALSE(halted(behind));
  behind.log.erase(behind.log.begin());
  EXPECT_TRUE(halted(behind)) << "entry 4 is missing";
  auto other = recovered_with({1, 1, 2, 2}, 2);
  other.snapshot = snapshot;
  EXPECT_TRUE(halted(other)) << "entry 3 is of another term than the snapshot says";
}

}  // namespace
}  // namespace quorate::raft::test
