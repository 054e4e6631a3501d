#include "check/one_value.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

const Index slot(3);
const NodeId a(1), b(2), c(3);
const Membership all{{{a, Role::voter, {}}, {b, Role::voter, {}}, {c, Role::voter, {}}}, {}, {}};

OneValue::Ballot ballot(std::uint64_t round, std::uint64_t node) { return {round, NodeId(node)}; }

class OneValueTest : public testing::Test {
 protected:
  void hold(std::initializer_list<NodeId> acceptors, OneValue::Ballot of, Fingerprint value) {
    EXPECT_FALSE(values_.accepted(slot, of, value));
    for (const NodeId node : acceptors) values_.durable(slot, of, node);
  }
  OneValue values_;
};

TEST_F(OneValueTest, AcceptsOneValueOverManyBallots) {
  hold({a, b}, ballot(1, 1), 7);
  hold({b}, ballot(2, 2), 7);
  EXPECT_FALSE(values_.chosen(slot, 7, all));
  hold({c}, ballot(3, 1), 7);
}

TEST_F(OneValueTest, FindsTwoValuesUnderABallot) {
  hold({}, ballot(1, 1), 7);
  EXPECT_FALSE(values_.accepted(Index(4), ballot(1, 1), 8));
  EXPECT_TRUE(values_.accepted(slot, ballot(1, 1), 8));
}

TEST_F(OneValueTest, FindsAnotherValueBehindTheChosenOne) {
  hold({a, c}, ballot(2, 1), 7);
  EXPECT_FALSE(values_.chosen(slot, 7, all));
  EXPECT_FALSE(values_.accepted(slot, ballot(1, 2), 8)) << "a late one of a lower ballot";
  EXPECT_TRUE(values_.accepted(slot, ballot(3, 2), 8));
}

TEST_F(OneValueTest, FindsItWhenItIsChosenLater) {
  hold({a, b}, ballot(2, 1), 7);
  hold({c}, ballot(3, 2), 8);
  EXPECT_TRUE(values_.chosen(slot, 7, all));
}

TEST_F(OneValueTest, FindsAValueThatIsAcceptedUnderDifferentBallotsOnly) {
  hold({a}, ballot(1, 1), 7);
  hold({b}, ballot(2, 2), 7);
  EXPECT_TRUE(values_.chosen(slot, 7, all));
}

TEST_F(OneValueTest, FindsAValueThatAMinorityHolds) {
  hold({a}, ballot(1, 1), 7);
  EXPECT_FALSE(values_.accepted(slot, ballot(1, 1), 7)) << "at another node, and not durable there";
  EXPECT_TRUE(values_.chosen(slot, 7, all));
}

TEST_F(OneValueTest, FindsAMajorityOfNodesThatAreNoAcceptors) {
  hold({a, NodeId(4), NodeId(5)}, ballot(1, 1), 7);
  EXPECT_TRUE(values_.chosen(slot, 7, all));
}

TEST_F(OneValueTest, AcceptsWhatTheLogDoesNotTellIfAnythingWasChosen) {
  EXPECT_TRUE(values_.chosen(slot, std::nullopt, all));
  hold({a, b}, ballot(1, 1), 7);
  EXPECT_FALSE(values_.chosen(slot, std::nullopt, all));
}

}  // namespace
}  // namespace quorate::check
