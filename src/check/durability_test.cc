#include "check/durability.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

TEST(Durability, FindsAnAcknowledgedCommandThatIsNotCommitted) {
  Durability durability;
  EXPECT_FALSE(durability.committed(7, Index(3)));
  EXPECT_FALSE(durability.acknowledged(7));
  EXPECT_TRUE(durability.acknowledged(8));
}

TEST(Durability, FindsAFinalStateWithoutIt) {
  Durability durability;
  EXPECT_FALSE(durability.committed(7, Index(3)));
  EXPECT_FALSE(durability.acknowledged(7));
  EXPECT_FALSE(durability.final_state(NodeId(1), Index(3)));
  EXPECT_TRUE(durability.final_state(NodeId(1), Index(2)));
}

TEST(Durability, FindsARefusedCommandThatHappenedBeforeOrAfter) {
  Durability durability;
  EXPECT_FALSE(durability.refused(7));
  EXPECT_TRUE(durability.committed(7, Index(3)));
  EXPECT_FALSE(durability.committed(8, Index(4)));
  EXPECT_TRUE(durability.refused(8));
}

TEST(Durability, KnowsTheFirstIndexOfACommand) {
  Durability durability;
  EXPECT_FALSE(durability.committed(7, Index(3)));
  EXPECT_FALSE(durability.committed(7, Index(9)));
  EXPECT_EQ(durability.index_of(7), Index(3));
  EXPECT_TRUE(durability.index_of(8).none());
}

}  // namespace
}  // namespace quorate::check
