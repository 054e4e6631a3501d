#include "check/durability.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

TEST(Durability, FindsAnAcknowledgedCommandThatIsNotCommitted) {
  Durability durability;
  durability.committed(7, Index(3));
  EXPECT_FALSE(durability.acknowledged(7));
  EXPECT_TRUE(durability.acknowledged(8));
}

TEST(Durability, FindsAFinalStateWithoutIt) {
  Durability durability;
  durability.committed(7, Index(3));
  EXPECT_FALSE(durability.acknowledged(7));
  EXPECT_FALSE(durability.final_state(NodeId(1), Index(3)));
  EXPECT_TRUE(durability.final_state(NodeId(1), Index(2)));
}

}  // namespace
}  // namespace quorate::check
