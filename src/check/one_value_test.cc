#include "check/one_value.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

const Index slot(3);
OneValue::Ballot ballot(std::uint64_t round, std::uint64_t node) { return {round, NodeId(node)}; }

TEST(OneValue, AcceptsOneValueOverManyBallots) {
  OneValue values;
  EXPECT_FALSE(values.accepted(slot, ballot(1, 1), 7));
  EXPECT_FALSE(values.accepted(slot, ballot(1, 1), 7));
  EXPECT_FALSE(values.accepted(slot, ballot(2, 2), 7));
  EXPECT_FALSE(values.chosen(slot, 7));
  EXPECT_FALSE(values.accepted(slot, ballot(3, 1), 7));
}

TEST(OneValue, FindsTwoValuesUnderABallot) {
  OneValue values;
  EXPECT_FALSE(values.accepted(slot, ballot(1, 1), 7));
  EXPECT_FALSE(values.accepted(Index(4), ballot(1, 1), 8));
  EXPECT_TRUE(values.accepted(slot, ballot(1, 1), 8));
}

TEST(OneValue, FindsAnotherValueBehindTheChosenOne) {
  OneValue values;
  EXPECT_FALSE(values.accepted(slot, ballot(2, 1), 7));
  EXPECT_FALSE(values.chosen(slot, 7));
  EXPECT_FALSE(values.accepted(slot, ballot(1, 2), 8)) << "a late one of a lower ballot";
  EXPECT_TRUE(values.accepted(slot, ballot(3, 2), 8));
}

TEST(OneValue, FindsItWhenItIsChosenLater) {
  OneValue values;
  EXPECT_FALSE(values.accepted(slot, ballot(2, 1), 7));
  EXPECT_FALSE(values.accepted(slot, ballot(3, 2), 8));
  EXPECT_TRUE(values.chosen(slot, 7));
}

}  // namespace
}  // namespace quorate::check
