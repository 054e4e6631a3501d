#include "check/election_safety.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

TEST(ElectionSafety, FindsASecondLeaderOfAnEpoch) {
  ElectionSafety safety;
  EXPECT_FALSE(safety.leads(NodeId(1), Epoch(1)));
  EXPECT_FALSE(safety.leads(NodeId(1), Epoch(1)));
  EXPECT_FALSE(safety.leads(NodeId(2), Epoch(2)));
  const auto broken = safety.leads(NodeId(3), Epoch(1));
  ASSERT_TRUE(broken);
  EXPECT_EQ(*broken, "nodes 1 and 3 both lead epoch 1");
}

}  // namespace
}  // namespace quorate::check
