#include "check/digest_agreement.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

TEST(DigestAgreement, FindsTwoStatesAtOneIndex) {
  DigestAgreement digests;
  EXPECT_FALSE(digests.state(NodeId(1), Index(4), Bytes::literal("d")));
  EXPECT_FALSE(digests.state(NodeId(2), Index(5), Bytes::literal("e")));
  EXPECT_FALSE(digests.state(NodeId(2), Index(4), Bytes::literal("d")));
  EXPECT_TRUE(digests.state(NodeId(3), Index(4), Bytes::literal("e")));
}

}  // namespace
}  // namespace quorate::check
