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

TEST(Durability, KnowsTheFirstPlaceOfACommand) {
  Durability durability;
  EXPECT_FALSE(durability.committed(7, Index(3)));
  EXPECT_FALSE(durability.committed(7, Index(9)));
  EXPECT_FALSE(durability.committed(5, Index(9)));
  EXPECT_EQ(durability.place_of(7).index, Index(3));
  EXPECT_LT(durability.place_of(7).rank, durability.place_of(5).rank);
  EXPECT_TRUE(durability.place_of(8).index.none());
}

}  // namespace
}  // namespace quorate::check
