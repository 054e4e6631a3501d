#include <gtest/gtest.h>

#include "replog/raft/log.h"

namespace quorate::raft {
namespace {

Log log_of(std::uint64_t entries, std::size_t bytes) {
  Log log;
  log.reset(Index(10), Epoch(1));
  for (std::uint64_t i = 1; i <= entries; ++i) {
    log.append({Epoch(1), Index(10 + i), EntryKind::payload, Bytes::copy(std::string(bytes, 'x'))});
  }
  return log;
}

TEST(Log, KeepsBehindASnapshotSoManyEntries) {
  const Log log = log_of(20, 1);
  EXPECT_EQ(log.kept_behind(Index(25), 5, 1000), Index(20));
  EXPECT_EQ(log.kept_behind(Index(25), 0, 1000), Index(25));
  EXPECT_EQ(log.kept_behind(Index(25), 100, 1000), Index(10)) << "no more than there is";
}

TEST(Log, KeepsBehindASnapshotSoManyBytes) {
  const Log log = log_of(20, 100);
  EXPECT_EQ(log.kept_behind(Index(25), 100, 350), Index(22));
  EXPECT_EQ(log.kept_behind(Index(25), 2, 350), Index(23));
  EXPECT_EQ(log.kept_behind(Index(25), 100, 99), Index(25));
}

}  // namespace
}  // namespace quorate::raft
