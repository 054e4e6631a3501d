#include "check/witness.h"

#include <gtest/gtest.h>

#include "check/linearizability.h"

namespace quorate::check {
namespace {

Operation put(std::string value, std::uint64_t invoked, std::optional<std::uint64_t> returned,
              std::uint64_t index, std::uint64_t rank = 0) {
  return {.kind = OpKind::put,
          .key = "x",
          .argument = std::move(value),
          .invoked = invoked,
          .returned = returned,
          .index = index,
          .rank = rank};
}
Operation get(std::optional<std::string> value, std::uint64_t invoked, std::uint64_t returned,
              std::uint64_t index) {
  return {.kind = OpKind::get,
          .key = "x",
          .invoked = invoked,
          .returned = returned,
          .observed = std::move(value),
          .index = index};
}

TEST(Witness, AcceptsTheOrderOfTheLog) {
  EXPECT_TRUE(witnessed(
      History{put("a", 1, 9, 1, 2), put("b", 2, 8, 1, 1), get("a", 3, 7, 1), get(std::nullopt, 1, 4, 0)}));
}

TEST(Witness, RejectsAStaleRead) {
  EXPECT_FALSE(witnessed(History{put("a", 1, 2, 1), get(std::nullopt, 3, 4, 0)}));
}

TEST(Witness, RejectsAResultThatTheOrderDoesNotGive) {
  EXPECT_FALSE(witnessed(History{put("a", 1, 2, 1), get("b", 3, 4, 1)}));
}

TEST(Witness, RejectsAnOrderAgainstRealTimeThoughAnotherWouldDo) {
  const History history{put("a", 1, 2, 2), put("b", 3, 4, 1)};
  EXPECT_FALSE(witnessed(history));
  EXPECT_TRUE(check_linearizable(history).ok());
}

TEST(Witness, TakesUnknownOutcomesWhereTheLogHasThem) {
  EXPECT_TRUE(
      witnessed(History{put("a", 1, std::nullopt, 3), get(std::nullopt, 2, 3, 2), get("a", 4, 5, 3)}));
  EXPECT_TRUE(witnessed(History{put("a", 1, std::nullopt, 0), get(std::nullopt, 2, 3, 2)}));
  EXPECT_FALSE(witnessed(History{put("a", 1, std::nullopt, 0), get("a", 2, 3, 2)}));
}

}  // namespace
}  // namespace quorate::check
