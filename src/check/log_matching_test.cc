#include "check/log_matching.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

const NodeId a(1), b(2), c(3);

Entry entry(std::uint64_t index, std::uint64_t epoch, const char* text) {
  return {Epoch(epoch), Index(index), EntryKind::payload, Bytes::copy(text)};
}
Write append(std::vector<Entry> entries) { return AppendEntries{std::move(entries)}; }

TEST(LogMatching, AcceptsLogsThatDifferInEpoch) {
  LogMatching logs;
  EXPECT_FALSE(logs.written(a, append({entry(1, 1, "x"), entry(2, 1, "y")})));
  EXPECT_FALSE(logs.written(b, append({entry(1, 1, "x"), entry(2, 2, "z")})));
  EXPECT_FALSE(logs.written(a, TruncateFrom{Index(2)}));
  EXPECT_FALSE(logs.written(a, append({entry(2, 2, "z")})));
}

TEST(LogMatching, FindsTwoEntriesOfOneEpochAtOneIndex) {
  LogMatching logs;
  EXPECT_FALSE(logs.written(a, append({entry(1, 1, "x")})));
  EXPECT_TRUE(logs.written(b, append({entry(1, 1, "y")})));
}

TEST(LogMatching, FindsEqualEntriesBehindDifferentOnes) {
  LogMatching logs;
  EXPECT_FALSE(logs.written(a, append({entry(1, 1, "x"), entry(2, 3, "z")})));
  EXPECT_TRUE(logs.written(b, append({entry(1, 2, "y"), entry(2, 3, "z")})));
}

TEST(LogMatching, FindsAGap) {
  LogMatching logs;
  EXPECT_TRUE(logs.written(a, append({entry(2, 1, "x")})));
}

TEST(LogMatching, FollowsSnapshotsAndRestarts) {
  LogMatching logs;
  EXPECT_FALSE(logs.written(a, append({entry(1, 1, "x"), entry(2, 1, "y"), entry(3, 1, "z")})));
  EXPECT_FALSE(logs.written(b, SnapshotTaken{{Index(2), Epoch(1), {}, {}}}));
  EXPECT_FALSE(logs.written(b, append({entry(3, 1, "z")})));
  Recovered recovered;
  recovered.snapshot = SnapshotMeta{Index(2), Epoch(1), {}, {}};
  recovered.log = {entry(2, 1, "y"), entry(3, 1, "other")};
  EXPECT_TRUE(logs.recovered(a, recovered));
}

TEST(LogMatching, TruncatesALogThatWasRecoveredBehindASnapshotToNothing) {
  for (const bool cut : {false, true}) {  // the first entry stands directly behind the snapshot, or below it
    LogMatching logs;
    EXPECT_FALSE(logs.written(a, append({entry(1, 1, "w"), entry(2, 1, "x"), entry(3, 1, "y")})));
    Recovered recovered;
    recovered.snapshot = SnapshotMeta{Index(cut ? 2 : 1), Epoch(1), {}, {}};
    recovered.log = {entry(2, 1, "x"), entry(3, 1, "y")};
    EXPECT_FALSE(logs.recovered(a, recovered));
    EXPECT_FALSE(logs.written(a, TruncateFrom{Index(2)}));
    EXPECT_FALSE(logs.written(a, append({entry(2, 2, "z"), entry(3, 2, "z")})));
  }
}

TEST(LeaderCompleteness, FindsALeaderThatLacksWhatWasCommitted) {
  LogMatching logs;
  EXPECT_FALSE(logs.written(a, append({entry(1, 1, "x")})));
  logs.committed(a, Index(1));
  EXPECT_FALSE(logs.written(b, append({entry(1, 1, "x")})));
  EXPECT_FALSE(logs.leads(b, Epoch(2)));
  EXPECT_FALSE(logs.recovered(c, {}));
  EXPECT_TRUE(logs.leads(c, Epoch(2)));
  EXPECT_FALSE(logs.leads(c, Epoch(1)));  // says nothing of epochs up to that of the commit
}

TEST(LeaderCompleteness, FindsALeaderWithAnotherEntry) {
  LogMatching logs;
  EXPECT_FALSE(logs.written(a, append({entry(1, 1, "x")})));
  logs.committed(a, Index(1));
  EXPECT_FALSE(logs.written(b, append({entry(1, 2, "y")})));
  EXPECT_TRUE(logs.leads(b, Epoch(3)));
}

}  // namespace
}  // namespace quorate::check
