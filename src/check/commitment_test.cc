#include "check/commitment.h"

#include <gtest/gtest.h>

#include "core/codec.h"

namespace quorate::check {
namespace {

const NodeId a(1), b(2), c(3);

Entry entry(std::uint64_t index, std::uint64_t epoch) {
  return {Epoch(epoch), Index(index), EntryKind::payload, Bytes::copy("x")};
}
Membership of(const std::vector<NodeId>& ids) {
  Membership membership;
  for (const NodeId id : ids) membership.members.push_back({id, Role::voter, {}});
  return membership;
}

class CommitmentTest : public testing::Test {
 protected:
  CommitmentTest() {
    for (const NodeId id : {a, b, c}) copies_.of(id).recovered({}, of({a, b, c}), {});
  }
  std::optional<std::string> write(NodeId node, std::vector<Write> writes, std::uint64_t epoch) {
    const auto kept = commitment_.before(node, Epoch(epoch), writes);
    copies_.of(node).written(Ticket(++tickets_), writes, Ballot{Epoch(epoch), {}});
    return commitment_.after(node, kept, writes);
  }
  void make_durable(NodeId node) { copies_.of(node).durable(Ticket(tickets_)); }
  void hold(NodeId node, std::vector<Entry> entries, std::uint64_t epoch) {
    EXPECT_FALSE(write(node, {AppendEntries{std::move(entries)}}, epoch));
    make_durable(node);
  }

  LogCopies copies_;
  Commitment commitment_{copies_};
  std::uint64_t tickets_ = 0;
};

TEST_F(CommitmentTest, AcceptsWhatAMajorityHolds) {
  hold(a, {entry(1, 1)}, 1);
  hold(b, {entry(1, 1)}, 1);
  commitment_.committed(entry(1, 1), Epoch(1));
  EXPECT_FALSE(commitment_.stands(a));
}

TEST_F(CommitmentTest, FindsWhatAMinorityHolds) {
  hold(a, {entry(1, 1)}, 1);
  commitment_.committed(entry(1, 1), Epoch(1));
  EXPECT_TRUE(commitment_.stands(a));
}

TEST_F(CommitmentTest, CountsOnlyWhatIsDurable) {
  hold(a, {entry(1, 1)}, 1);
  EXPECT_FALSE(write(b, {AppendEntries{{entry(1, 1)}}}, 1));
  commitment_.committed(entry(1, 1), Epoch(1));
  EXPECT_TRUE(commitment_.stands(a));
  make_durable(b);
  EXPECT_FALSE(commitment_.stands(a));
}

// Figure 8 of the paper: the entry of epoch 2 lies on a majority, and the node with one of epoch 3 could
// still be elected.
TEST_F(CommitmentTest, FindsAnEarlierEpochThatWasCountedOnly) {
  hold(a, {entry(1, 2)}, 4);
  hold(b, {entry(1, 2)}, 4);
  hold(c, {entry(1, 3)}, 3);
  commitment_.committed(entry(1, 2), Epoch(4));
  EXPECT_TRUE(commitment_.stands(a));
  hold(a, {entry(2, 4)}, 4);
  hold(b, {entry(2, 4)}, 4);
  commitment_.committed(entry(2, 4), Epoch(4));
  EXPECT_FALSE(commitment_.stands(a));
}

// A majority of the new voters is none of the old, by which the node that lacks it still goes.
TEST_F(CommitmentTest, FindsAQuorumOfAnotherConfiguration) {
  const NodeId d(4), e(5);
  const Entry change{Epoch(1), Index(1), EntryKind::membership, codec::encode(of({a, d, e}))};
  for (const NodeId id : {a, d, e}) hold(id, {change}, 1);
  commitment_.committed(change, Epoch(1));
  EXPECT_TRUE(commitment_.stands(a));
}

TEST_F(CommitmentTest, FindsACommittedEntryThatIsGivenUp) {
  hold(a, {entry(1, 1), entry(2, 1)}, 1);
  commitment_.committed(entry(1, 1), Epoch(1));
  EXPECT_FALSE(write(a, {TruncateFrom{Index(2)}, AppendEntries{{entry(2, 2)}}}, 2));
  EXPECT_TRUE(write(a, {TruncateFrom{Index(1)}, AppendEntries{{entry(1, 3)}}}, 3));
}

// Committed by the leader of epoch 9 with an entry of its own, which a and others hold and b has not been
// sent. To b comes a late AppendEntries of the leader of epoch 8, who never had it.
TEST_F(CommitmentTest, AcceptsThatWhoWasNotCountedGivesItUp) {
  const std::vector<Write> late{TruncateFrom{Index(1)}, AppendEntries{{entry(1, 8)}}};
  hold(a, {entry(1, 6), entry(2, 9)}, 9);
  hold(b, {entry(1, 6)}, 6);
  commitment_.committed(entry(1, 6), Epoch(9));
  commitment_.committed(entry(2, 9), Epoch(9));
  EXPECT_TRUE(write(a, late, 9));
  EXPECT_FALSE(write(b, late, 8));
}

TEST_F(CommitmentTest, AcceptsASnapshotInItsPlace) {
  hold(a, {entry(1, 1), entry(2, 1), entry(3, 1)}, 1);
  commitment_.committed(entry(1, 1), Epoch(1));
  const SnapshotMeta meta{Index(3), Epoch(2), of({a, b, c}), {}};
  EXPECT_FALSE(write(a, {TruncateFrom{Index(1)}, SnapshotTaken{meta}}, 2));
}

TEST_F(CommitmentTest, FindsALogThatDoesNotFollowItsSnapshot) {
  hold(a, {entry(1, 1), entry(2, 1), entry(3, 1)}, 1);
  const SnapshotMeta meta{Index(2), Epoch(2), of({a, b, c}), {}};
  EXPECT_TRUE(write(a, {SnapshotTaken{meta}}, 2));
}

TEST_F(CommitmentTest, FindsWhatAFollowerSharesWithItsLeaderAndGivesUp) {
  hold(a, {entry(1, 1), entry(2, 5)}, 5);
  commitment_.leads(a, Epoch(5));
  hold(b, {entry(1, 1)}, 5);
  const std::vector<Write> other{TruncateFrom{Index(1)}, AppendEntries{{entry(1, 3)}}};
  EXPECT_TRUE(write(b, other, 5));
}

TEST_F(CommitmentTest, AcceptsThatInALaterEpoch) {
  hold(a, {entry(1, 1), entry(2, 5)}, 5);
  commitment_.leads(a, Epoch(5));
  hold(b, {entry(1, 1)}, 5);
  const std::vector<Write> other{TruncateFrom{Index(1)}, AppendEntries{{entry(1, 3)}}};
  EXPECT_FALSE(write(b, other, 6));
}

TEST_F(CommitmentTest, AcceptsThatInTheStepThatEntersTheEpoch) {
  hold(b, {entry(1, 1)}, 4);
  hold(a, {entry(1, 1), entry(2, 5)}, 5);
  commitment_.leads(a, Epoch(5));
  const std::vector<Write> other{TruncateFrom{Index(1)}, AppendEntries{{entry(1, 3)}}};
  EXPECT_FALSE(write(b, other, 5));
}

// b had acknowledged the entry and lost it: as long as it votes for nobody, c can not be elected without it.
TEST_F(CommitmentTest, AcceptsALossOfWhoAbstains) {
  hold(a, {entry(1, 2)}, 2);
  hold(b, {entry(1, 2)}, 2);
  copies_.of(b).recovered({}, of({a, b, c}), {Epoch(3), {}});
  commitment_.committed(entry(1, 2), Epoch(2));
  EXPECT_TRUE(commitment_.stands(a));
  copies_.lost_entries(b, Epoch(2));
  EXPECT_FALSE(commitment_.stands(a));
}

TEST_F(CommitmentTest, NobodyAbstainsWithAnEntryOfALaterEpoch) {
  copies_.of(b).recovered({}, of({a, b, c}), {Epoch(3), {}});
  copies_.lost_entries(b, Epoch(2));
  const auto abstains = [&] {
    copies_.regain(b);
    return copies_.abstains(b);
  };
  EXPECT_TRUE(abstains());
  hold(b, {entry(1, 1), entry(2, 2)}, 4);
  EXPECT_TRUE(abstains());
  EXPECT_FALSE(write(b, {AppendEntries{{entry(3, 4)}}}, 4));
  EXPECT_TRUE(abstains()) << "not durable";
  make_durable(b);
  EXPECT_FALSE(abstains());
  EXPECT_FALSE(copies_.abstains(a));
}

TEST_F(CommitmentTest, IgnoresWhoWillNeverComeBack) {
  hold(a, {entry(1, 1)}, 1);
  copies_.lost(b);
  copies_.lost(c);
  commitment_.committed(entry(1, 1), Epoch(1));
  EXPECT_FALSE(commitment_.stands(a));
}

}  // namespace
}  // namespace quorate::check
