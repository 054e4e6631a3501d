#include "replica/sessions.h"

#include <set>

#include <gtest/gtest.h>

#include "core/rng.h"

namespace quorate::replica {
namespace {

Command command(std::uint64_t number, std::uint64_t settled = 0, std::uint64_t incarnation = 1) {
  return {{NodeId(1), incarnation, number}, settled, {}};
}

TEST(Sessions, ACommandIsExecutedOnce) {
  Sessions sessions;
  EXPECT_TRUE(sessions.admit(command(1)));
  EXPECT_FALSE(sessions.admit(command(1)));
  EXPECT_TRUE(sessions.admit(command(3)));
  EXPECT_TRUE(sessions.admit(command(2)));
  EXPECT_FALSE(sessions.admit(command(2)));
  EXPECT_FALSE(sessions.admit(command(3)));
}

TEST(Sessions, WhatIsSettledIsForgottenButNeverExecutedAgain) {
  Sessions sessions;
  EXPECT_TRUE(sessions.admit(command(1)));
  EXPECT_TRUE(sessions.admit(command(5, 4)));
  EXPECT_FALSE(sessions.admit(command(1)));
  EXPECT_FALSE(sessions.admit(command(3))) << "its origin gave it up";
  EXPECT_EQ(sessions.by_node[1].executed.size(), 1U);
}

TEST(Sessions, ANewIncarnationEndsTheOlder) {
  Sessions sessions;
  EXPECT_TRUE(sessions.admit(command(7, 0, 1)));
  EXPECT_TRUE(sessions.admit(command(7, 0, 2)));
  EXPECT_FALSE(sessions.admit(command(8, 0, 1)));
}

TEST(Sessions, NodesDoNotMix) {
  Sessions sessions;
  EXPECT_TRUE(sessions.admit(command(1)));
  EXPECT_TRUE(sessions.admit({{NodeId(2), 1, 1}, 0, {}}));
}

TEST(Sessions, AnImpossibleSettledIsIgnored) {
  Sessions sessions;
  EXPECT_TRUE(sessions.admit(command(1, 1'000)));
  EXPECT_TRUE(sessions.admit(command(2)));
}

TEST(Sessions, AgreesWithASetOfNumbers) {
  Rng rng(11);
  Sessions sessions;
  std::set<std::uint64_t> executed;
  std::uint64_t settled = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t number = rng.between(std::max<std::uint64_t>(settled, 20) - 19, settled + 40);
    if (rng.chance(0.02)) settled += rng.below(10);
    const bool fresh = number > sessions.by_node[1].settled && !executed.contains(number);
    ASSERT_EQ(sessions.by_node[1].executed_already(number), !fresh);
    ASSERT_EQ(sessions.admit(command(number, settled)), fresh) << number;
    if (fresh) executed.insert(number);
  }
}

}  // namespace
}  // namespace quorate::replica
