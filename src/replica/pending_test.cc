#include "replica/pending.h"

#include <gtest/gtest.h>

namespace quorate::replica {
namespace {

TEST(PendingCommands, SettledIsEverythingBelowTheOldestOpenOne) {
  PendingCommands pending;
  for (int i = 0; i < 3; ++i) pending.add(Bytes::copy("xx"), [](const Outcome<Bytes>&) {}, Instant{});
  EXPECT_EQ(pending.settled(), 0U);
  EXPECT_TRUE(pending.settle(2));
  EXPECT_EQ(pending.settled(), 0U);
  EXPECT_TRUE(pending.settle(1));
  EXPECT_EQ(pending.settled(), 2U);
  EXPECT_EQ(pending.count(), 1U);
  EXPECT_EQ(pending.bytes(), 2U);
}

TEST(PendingCommands, AnOutcomeIsTakenOnce) {
  PendingCommands pending;
  int calls = 0;
  const auto number = pending.add({}, [&](const Outcome<Bytes>&) { ++calls; }, Instant{});
  (*pending.settle(number))(Bytes());
  EXPECT_FALSE(pending.settle(number));
  EXPECT_FALSE(pending.settle(77));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace quorate::replica
