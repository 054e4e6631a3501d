#include "check/quorum_overlap.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

Membership of(std::initializer_list<std::uint64_t> ids, std::vector<NodeId> outgoing = {}) {
  Membership membership;
  for (const auto id : ids) membership.members.push_back({NodeId(id), Role::voter, {}});
  membership.outgoing = std::move(outgoing);
  return membership;
}

class QuorumOverlapTest : public testing::Test {
 protected:
  // A node with this configuration, whose last entry is of this epoch.
  void node(std::uint64_t id, const Membership& membership, std::uint64_t epoch, std::uint64_t own = 1) {
    Recovered recovered;
    recovered.log.push_back({Epoch(epoch), Index(1), EntryKind::noop, {}});
    copies_.of(NodeId(id)).recovered(recovered, membership, {Epoch(own), {}});
  }
  std::optional<std::string> leads_on(std::uint64_t leader, const Membership& next) {
    return quorums_overlap(copies_, NodeId(leader), Epoch(3), next);
  }
  LogCopies copies_;
};

TEST_F(QuorumOverlapTest, AcceptsTheConfigurationOfAll) {
  for (const std::uint64_t id : {1, 2, 3}) node(id, of({1, 2, 3}), 1);
  EXPECT_FALSE(leads_on(1, of({1, 2, 3})));
}

TEST_F(QuorumOverlapTest, FindsOneThatShedsTheOldWithoutAJointPhase) {
  for (const std::uint64_t id : {1, 2, 3}) node(id, of({1, 2, 3}), 1);
  for (const std::uint64_t id : {4, 5}) node(id, Membership{}, 1);
  EXPECT_TRUE(leads_on(1, of({1, 4, 5})));
}

TEST_F(QuorumOverlapTest, AcceptsTheJointOne) {
  for (const std::uint64_t id : {1, 2, 3}) node(id, of({1, 2, 3}), 1);
  EXPECT_FALSE(leads_on(1, of({1, 4, 5}, {NodeId(1), NodeId(2), NodeId(3)})));
}

// The author's report of 2015: node 1 added a fifth server and nobody heard of it; node 2 leads without
// that entry and, before it has one of its own committed, removes node 1.
TEST_F(QuorumOverlapTest, FindsTwoSingleServerChangesOfWhichOneIsForgotten) {
  node(1, of({1, 2, 3, 4, 5}), 2);
  for (const std::uint64_t id : {2, 3, 4}) node(id, of({1, 2, 3, 4}), 1);
  node(5, Membership{}, 1);
  EXPECT_TRUE(leads_on(2, of({2, 3, 4})));
}

TEST_F(QuorumOverlapTest, AcceptsThemWhenTheFirstCouldNotWinAnyMore) {
  node(1, of({1, 2, 3, 4, 5}), 2);
  for (const std::uint64_t id : {2, 3, 4}) node(id, of({1, 2, 3, 4}), 3);
  node(5, Membership{}, 1);
  EXPECT_FALSE(leads_on(2, of({2, 3, 4})));
}

TEST_F(QuorumOverlapTest, IgnoresALeaderThatIsDeposed) {
  node(1, of({1, 2, 3}), 1);
  for (const std::uint64_t id : {2, 3}) node(id, of({2, 3, 4}), 1, 4);
  node(4, of({2, 3, 4}), 1, 3);
  EXPECT_FALSE(leads_on(1, of({1, 5}, {NodeId(1), NodeId(2), NodeId(3)})));
}

TEST_F(QuorumOverlapTest, IgnoresWhoWillNeverComeBack) {
  node(1, of({1, 2, 3, 4, 5}), 2);
  for (const std::uint64_t id : {2, 3, 4}) node(id, of({1, 2, 3, 4}), 1);
  node(5, Membership{}, 1);
  copies_.lost(NodeId(1));
  EXPECT_FALSE(leads_on(2, of({2, 3, 4})));
}

}  // namespace
}  // namespace quorate::check
