#include <gtest/gtest.h>

#include "check/bounded_staleness.h"
#include "check/linearizability.h"
#include "check/sequential.h"
#include "check/session.h"

namespace quorate::check {
namespace {

Operation put(std::uint64_t client, std::string key, std::string value, std::uint64_t at,
              std::uint64_t index = 0) {
  return {.client = client,
          .kind = OpKind::put,
          .key = std::move(key),
          .argument = std::move(value),
          .invoked = at,
          .returned = at + 1,
          .index = index};
}
Operation get(std::uint64_t client, std::string key, std::optional<std::string> value, std::uint64_t at,
              std::uint64_t index = 0) {
  return {.client = client,
          .kind = OpKind::get,
          .key = std::move(key),
          .invoked = at,
          .returned = at + 1,
          .observed = std::move(value),
          .index = index};
}

TEST(SequentialConsistency, AllowsAStaleReadThatLinearizabilityDoesNot) {
  const History history{put(1, "x", "a", 1), get(2, "x", std::nullopt, 10)};
  EXPECT_FALSE(check_linearizable(history).ok());
  EXPECT_TRUE(check_sequential(history).ok());
}

TEST(SequentialConsistency, FindsTwoReadersThatDisagreeOnTheOrder) {
  const History history{put(1, "x", "a", 1), put(2, "x", "b", 3), get(3, "x", "a", 5),
                        get(3, "x", "b", 7), get(4, "x", "b", 5), get(4, "x", "a", 7)};
  EXPECT_EQ(check_sequential(history).verdict, Verdict::violation);
}

TEST(SequentialConsistency, IsNotLocal) {
  // Each key alone has a sequential order, both together have none (Herlihy, Wing 1990, §3.3).
  const History history{put(1, "x", "a", 1), get(1, "y", std::nullopt, 3), put(2, "y", "b", 1),
                        get(2, "x", std::nullopt, 3)};
  EXPECT_EQ(check_sequential(history).verdict, Verdict::violation);
}

TEST(SequentialConsistency, LetsAnUnknownOutcomeHappenLateOrNever) {
  Operation lost = put(1, "x", "a", 1);
  lost.returned.reset();
  EXPECT_TRUE(check_sequential(History{lost, get(1, "x", std::nullopt, 3), get(1, "x", "a", 5)}).ok());
  EXPECT_TRUE(check_sequential(History{lost, get(1, "x", std::nullopt, 3)}).ok());
  EXPECT_FALSE(check_sequential(History{lost, get(1, "x", "a", 3), get(1, "x", std::nullopt, 5)}).ok());
}

TEST(SequentialConsistency, GivesUpWithinItsBudget) {
  History history;
  for (std::uint64_t client = 0; client < 6; ++client) {
    for (std::uint64_t i = 0; i < 6; ++i)
      history.push_back(put(client, "x", std::to_string(client * 10 + i), i));
  }
  history.push_back(get(9, "x", "never", 1));
  EXPECT_EQ(check_sequential(history, 500).verdict, Verdict::timeout);
}

TEST(MonotonicReads, FindsAReadThatGoesBack) {
  EXPECT_TRUE(
      check_monotonic_reads(History{get(1, "x", "a", 1, 5), get(2, "x", "a", 3, 4), get(1, "y", "a", 5, 5)})
          .ok());
  const Finding finding = check_monotonic_reads(History{get(1, "x", "a", 1, 5), get(1, "y", "b", 3, 4)});
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_NE(finding.explanation.find("index 4"), std::string::npos);
}

TEST(ReadYourWrites, FindsAReadThatMissesTheClientsOwnWrite) {
  EXPECT_TRUE(
      check_read_your_writes(History{put(1, "x", "a", 1, 5), get(2, "x", "", 3, 4), get(1, "x", "a", 3, 5)})
          .ok());
  EXPECT_FALSE(check_read_your_writes(History{put(1, "x", "a", 1, 5), get(1, "x", "", 3, 4)}).ok());
}

TEST(BoundedStaleness, FindsAReadOlderThanTheBound) {
  const History history{put(1, "x", "a", 1, 5), get(2, "x", "", 10, 4)};  // the write returned 8 before
  EXPECT_TRUE(check_bounded_staleness(history, 8).ok());
  EXPECT_EQ(check_bounded_staleness(history, 7).verdict, Verdict::violation);
}

}  // namespace
}  // namespace quorate::check
