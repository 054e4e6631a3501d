#include "quorum/quorum.h"

#include <map>

#include <gtest/gtest.h>

namespace quorate {
namespace {

std::vector<NodeId> nodes(std::initializer_list<std::uint64_t> ids) {
  std::vector<NodeId> out;
  for (auto id : ids) out.emplace_back(id);
  return out;
}

Membership membership(std::initializer_list<std::uint64_t> voters,
                      std::initializer_list<std::uint64_t> outgoing) {
  Membership m;
  for (auto id : voters) m.members.push_back({NodeId(id), Role::voter, {}});
  m.outgoing = nodes(outgoing);
  return m;
}

TEST(Quorum, MajorityIsMoreThanHalf) {
  EXPECT_EQ(quorum::majority(1), 1U);
  EXPECT_EQ(quorum::majority(2), 2U);
  EXPECT_EQ(quorum::majority(3), 2U);
  EXPECT_EQ(quorum::majority(4), 3U);
  EXPECT_EQ(quorum::majority(5), 3U);
}

TEST(Quorum, TallyOfOneSet) {
  std::map<NodeId, int> votes;
  const auto vote = [&](NodeId id) { return votes[id]; };
  const auto set = nodes({1, 2, 3});
  EXPECT_EQ(quorum::tally(set, vote), quorum::Tally::pending);
  votes[NodeId(1)] = 1;
  votes[NodeId(2)] = -1;
  EXPECT_EQ(quorum::tally(set, vote), quorum::Tally::pending);
  votes[NodeId(3)] = 1;
  EXPECT_EQ(quorum::tally(set, vote), quorum::Tally::won);
  votes[NodeId(1)] = -1;
  EXPECT_EQ(quorum::tally(set, vote), quorum::Tally::lost);
}

// A majority of the union is not enough: each side needs its own.
TEST(Quorum, JointNeedsBothMajorities) {
  const auto joint = membership({1, 2, 3}, {1, 4, 5});
  const auto says = [](std::initializer_list<std::uint64_t> yes) {
    return [yes](NodeId id) { return std::ranges::find(yes, id.value) != yes.end() ? 1 : 0; };
  };
  EXPECT_EQ(quorum::tally(joint, says({1, 2, 3})), quorum::Tally::pending);
  EXPECT_EQ(quorum::tally(joint, says({1, 2, 4})), quorum::Tally::won);
}

TEST(Quorum, AgreedIsWhatAMajorityReached) {
  const std::map<NodeId, int> reached{
      {NodeId(1), 9}, {NodeId(2), 5}, {NodeId(3), 7}, {NodeId(4), 1}, {NodeId(5), 1}};
  const auto at = [&](NodeId id) { return reached.at(id); };
  EXPECT_EQ(quorum::agreed(nodes({1, 2, 3}), 0, at), 7);
  EXPECT_EQ(quorum::agreed(nodes({1, 2, 3, 4}), 0, at), 5);
  EXPECT_EQ(quorum::agreed(membership({1, 2, 3}, {}), 0, at), 7);
  EXPECT_EQ(quorum::agreed(membership({1, 2, 3}, {3, 4, 5}), 0, at), 1);
}

TEST(Quorum, ByzantineQuorumsMeetInACorrectNode) {
  for (std::size_t n = 1; n < 50; ++n) {
    const auto f = quorum::byzantine_faults(n);
    EXPECT_LE(3 * f + 1, n);
    EXPECT_GE(2 * quorum::byzantine_quorum(n), n + f + 1) << n;
  }
}

}  // namespace
}  // namespace quorate
