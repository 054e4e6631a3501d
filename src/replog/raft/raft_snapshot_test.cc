// Log compaction and InstallSnapshot: thesis chapter 5. The state itself is the host's; here the harness's.
#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RaftSnapshot : public testing::Test {
 protected:
  RaftSnapshot() : cluster(3, 1, [](rl::Settings& s) { s.keep_entries = 2; }) {
    cluster.start_all();
    cluster.elect(1);
  }
  void flush(std::uint64_t id) {  // the host's state is durable as it stands
    Node& n = cluster.node(id);
    const Index index = n.raft->applied();
    n.received[index] = n.state;
    cluster.ask(id, rl::SnapshotAvailable{SnapshotMeta{index, {}, {}, Bytes::literal("digest")}});
    cluster.settle();
  }
  void propose(int count) {
    for (int i = 0; i < count; ++i) cluster.propose(1, "p" + std::to_string(i));
    cluster.settle();
  }
  SnapshotMeta meta(std::uint64_t index, std::uint64_t term) {
    return {Index(index), Epoch(term), voters({1, 2, 3}), {}};
  }
  Cluster cluster;
};

TEST_F(RaftSnapshot, Section5_1_TheLogIsCutBehindADurableState) {
  propose(20);
  flush(1);
  EXPECT_EQ(cluster.raft(1).log().last(), Index(21));
  EXPECT_EQ(cluster.raft(1).log().base(), Index(19)) << "keep_entries stay for those that lag a little";
  const auto& disk = cluster.node(1).disk;
  ASSERT_TRUE(disk.snapshot);
  EXPECT_EQ(disk.snapshot->index, Index(21));
  EXPECT_EQ(disk.snapshot->epoch, cluster.raft(1).term()) << "metadata comes from the log, not from the host";
  EXPECT_EQ(disk.snapshot->membership, voters({1, 2, 3}));
  EXPECT_EQ(disk.snapshot->digest, "digest");
  cluster.restart(1);
  EXPECT_EQ(cluster.raft(1).commit(), Index(21));
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 2, 3}));
}

TEST_F(RaftSnapshot, TheMetadataHoldsTheConfigurationInForceAtItsIndexNotALaterOne) {
  propose(5);
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  cluster.ask(1, rl::Reconfigure{1, members({1, 2})});
  flush(1);
  EXPECT_EQ(cluster.node(1).disk.snapshot->membership, voters({1, 2, 3}));
  EXPECT_TRUE(cluster.raft(1).membership().joint());
}

TEST_F(RaftSnapshot, Section5_2_AFollowerThatNeedsCutEntriesGetsAState) {
  cluster.crash(3);
  propose(20);
  flush(1);
  cluster.start(3);
  cluster.advance(200ms);
  EXPECT_EQ(cluster.payloads(3), cluster.payloads(1));
  EXPECT_THAT(cluster.events<rl::Restore>(3), SizeIs(1));
  propose(3);
  EXPECT_EQ(cluster.payloads(3), cluster.payloads(1)) << "entries follow the state";
  EXPECT_THAT(cluster.violations, IsEmpty());
}

// Or it would bring its own, which is no better.
TEST_F(RaftSnapshot, TheLeaderIsToldOfTheStateThatAnotherBrought) {
  cluster.crash(3);
  propose(20);
  cluster.node(3).received[Index(21)] = cluster.node(1).state;
  cluster.start(3);
  cluster.sync(3);
  const Epoch term = cluster.raft(1).term();
  cluster.inject(1, 3, Heartbeat{term, Index(), 1});
  cluster.ask(3, rl::SnapshotReceived{NodeId(2), term, meta(21, term.value)});
  cluster.sync(3);
  const auto replies = cluster.take<AppendEntriesReply>(3, 1);
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_TRUE(replies.front().success);
  EXPECT_EQ(replies.front().index, Index(21));
}

TEST_F(RaftSnapshot, TheStateBecomesLiveOnlyWhenItsMetadataIsDurable) {
  cluster.crash(3);
  propose(20);
  cluster.forget_events();
  cluster.node(3).received[Index(21)] = cluster.node(1).state;
  cluster.start(3);
  cluster.sync(3);
  cluster.node(3).disk_works = false;
  const Epoch term = cluster.raft(1).term();
  cluster.inject(1, 3, Heartbeat{term, Index(), 1});
  cluster.ask(3, rl::SnapshotReceived{NodeId(1), term, meta(21, term.value)});
  EXPECT_THAT(cluster.events<rl::Restore>(3), IsEmpty());
  EXPECT_THAT(cluster.take<AppendEntriesReply>(3, 1), IsEmpty());
  cluster.crash(3);
  cluster.start(3);
  EXPECT_EQ(cluster.raft(3).commit(), Index(0)) << "the crash took all of it";
  cluster.inject(1, 3, Heartbeat{term, Index(), 1});
  cluster.ask(3, rl::SnapshotReceived{NodeId(1), term, meta(21, term.value)});
  cluster.inject(1, 3, AppendEntries{term, Index(21), term, {entry(term.value, 22)}, Index(22)});
  EXPECT_THAT(cluster.events<rl::Committed>(3), IsEmpty());
  cluster.sync(3);
  EXPECT_THAT(cluster.events<rl::Restore>(3), SizeIs(1));
  EXPECT_EQ(cluster.raft(3).applied(), Index(22)) << "what was committed meanwhile follows the state";
  EXPECT_EQ(cluster.take<AppendEntriesReply>(3, 1).front().index, Index(21));
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST_F(RaftSnapshot, Section5_2_AMatchingSuffixIsKeptAndAConflictingLogDropped) {
  for (const bool matching : {true, false}) {
    Cluster one(3);
    one.node(1).disk = recovered_with({1, 1, 1, 1, 1}, 1);
    one.start(1);
    one.sync(1);
    one.node(1).received[Index(3)] = {entry(1, 1), entry(1, 2), entry(matching ? 1 : 2, 3)};
    one.ask(1, rl::SnapshotReceived{NodeId(2), Epoch(2), meta(3, matching ? 1 : 2)});
    one.sync(1);
    EXPECT_EQ(one.raft(1).log().last(), Index(matching ? 5 : 3));
    EXPECT_EQ(one.raft(1).applied(), Index(3));
    one.restart(1);
    EXPECT_EQ(one.raft(1).log().last(), Index(matching ? 5 : 3)) << "the disk agrees";
    EXPECT_THAT(one.violations, IsEmpty());
  }
}

TEST_F(RaftSnapshot, StaleAndImpossibleSnapshotsAreIgnored) {
  propose(5);
  const auto term = cluster.raft(2).term().value;
  const auto before = cluster.raft(2).describe();
  cluster.ask(2, rl::SnapshotReceived{NodeId(1), Epoch(term), meta(3, term)});  // behind the commit index
  cluster.ask(2,
              rl::SnapshotReceived{NodeId(1), Epoch(term), meta(90, term + 1)});  // an entry of a later term
  cluster.ask(2, rl::SnapshotReceived{NodeId(1), Epoch(UINT64_MAX), meta(90, term)});  // no such term
  cluster.ask(
      2, rl::SnapshotReceived{NodeId(1), Epoch(term), {Index(90), Epoch(term), {}, {}}});  // nobody votes
  cluster.ask(1, rl::SnapshotReceived{NodeId(2), Epoch(term), meta(90, term)});  // to the leader itself
  EXPECT_EQ(cluster.raft(2).describe(), before);
  EXPECT_EQ(cluster.raft(1).state(), State::leader);
  EXPECT_THAT(cluster.events<rl::Restore>(2), IsEmpty());
}

TEST_F(RaftSnapshot, AFailedDeliveryIsTriedAgainAtHeartbeatPace) {
  cluster.crash(3);
  propose(20);
  flush(1);
  cluster.auto_snapshots = false;
  cluster.forget_events();
  cluster.start(3);
  cluster.advance(100ms);
  ASSERT_THAT(cluster.events<rl::SendSnapshot>(1), SizeIs(1));
  for (int i = 0; i < 10; ++i) cluster.ask(1, rl::SnapshotDelivered{NodeId(3), Index(), false});
  EXPECT_THAT(cluster.events<rl::SendSnapshot>(1), SizeIs(1)) << "not in a loop";
  cluster.advance(100ms);
  EXPECT_THAT(cluster.events<rl::SendSnapshot>(1), SizeIs(2));
  cluster.auto_snapshots = true;
  cluster.ask(1, rl::SnapshotDelivered{NodeId(3), Index(), false});
  cluster.advance(200ms);
  EXPECT_EQ(cluster.payloads(3), cluster.payloads(1));
}

TEST_F(RaftSnapshot, NoStateIsSentToANodeThatIsDown) {
  cluster.crash(3);
  cluster.advance(1s);
  propose(20);
  flush(1);
  cluster.forget_events();
  propose(5);
  cluster.advance(1s);
  EXPECT_THAT(cluster.events<rl::SendSnapshot>(1), IsEmpty());
}

// 1. Node 3 is cut off while messages to it are in flight up to the bound. 2. The log is cut beyond the next
// entry it would get. 3. It comes back, and nothing more is proposed: heartbeats alone must find that out.
TEST(RaftSnapshotPipeline, AFollowerWhoseNextEntryWasCutIsFoundWithoutANewProposal) {
  Cluster cluster(3, 1, [](rl::Settings& s) {
    s.keep_entries = 2;
    s.max_inflight = 4;
  });
  cluster.start_all();
  cluster.elect(1);
  cluster.cut(1, 3);
  for (int i = 0; i < 20; ++i) {
    cluster.propose(1, "p" + std::to_string(i));
    cluster.settle();
  }
  Node& n = cluster.node(1);
  n.received[n.raft->applied()] = n.state;
  cluster.ask(1, rl::SnapshotAvailable{SnapshotMeta{n.raft->applied(), {}, {}, {}}});
  cluster.settle();
  ASSERT_LT(cluster.raft(1).progress(NodeId(3))->next, cluster.raft(1).log().base());
  cluster.heal();
  cluster.advance(2s);
  EXPECT_EQ(cluster.payloads(3), cluster.payloads(1));
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST_F(RaftSnapshot, AJoinerThatDoesNotKnowTheMembershipTakesNoSnapshot) {
  Cluster other(1);
  other.add(2, {});
  other.start_all();
  other.settle();
  other.inject(1, 2, AppendEntries{Epoch(1), Index(), Epoch(), {entry(1, 1), entry(1, 2)}, Index(2)});
  other.sync(2);
  ASSERT_EQ(other.raft(2).applied(), Index(2));
  other.ask(2, rl::SnapshotAvailable{SnapshotMeta{Index(2), {}, {}, {}}});
  other.sync(2);
  EXPECT_FALSE(other.node(2).disk.snapshot);
}

TEST_F(RaftSnapshot, Section5_1_ASnapshotAheadOfWhatWasAppliedIsNotBelieved) {
  propose(3);
  cluster.ask(1, rl::SnapshotAvailable{meta(99, 1)});
  cluster.settle();
  EXPECT_FALSE(cluster.node(1).disk.snapshot);
}

}  // namespace
}  // namespace quorate::raft::test
