#include "check/state_machine_safety.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

const NodeId a(1), b(2);

TEST(StateMachineSafety, AcceptsTheSameEntriesAtTheirOwnPace) {
  StateMachineSafety safety;
  EXPECT_FALSE(safety.committed(a, Index(1), 11));
  EXPECT_FALSE(safety.committed(a, Index(2), 12));
  EXPECT_FALSE(safety.committed(b, Index(1), 11));
  EXPECT_EQ(safety.last(), Index(2));
}

TEST(StateMachineSafety, FindsTwoEntriesAtOneIndex) {
  StateMachineSafety safety;
  EXPECT_FALSE(safety.committed(a, Index(1), 11));
  EXPECT_TRUE(safety.committed(b, Index(1), 12));
}

TEST(StateMachineSafety, FindsAnEntrySkippedOrAppliedTwice) {
  StateMachineSafety safety;
  EXPECT_FALSE(safety.committed(a, Index(1), 11));
  EXPECT_TRUE(safety.committed(a, Index(3), 13));
  EXPECT_TRUE(safety.committed(a, Index(1), 11));
}

TEST(StateMachineSafety, FollowsARestartAndASnapshot) {
  StateMachineSafety safety;
  safety.position(a, Index(0));
  EXPECT_FALSE(safety.committed(a, Index(1), 11));
  safety.position(a, Index(0));
  EXPECT_FALSE(safety.committed(a, Index(1), 11));
  safety.position(a, Index(9));
  EXPECT_FALSE(safety.committed(a, Index(10), 20));
  EXPECT_FALSE(safety.known(Index(5)));
  EXPECT_TRUE(safety.known(Index(10)));
}

}  // namespace
}  // namespace quorate::check
