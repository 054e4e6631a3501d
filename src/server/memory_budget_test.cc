#include "server/memory_budget.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace quorate::server {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t mib = 1U << 20U;

// A made-up tree of control groups.
class Groups : public testing::Test {
 protected:
  Groups() : root_(fs::temp_directory_path() / ("groups-" + std::to_string(::getpid()))) {}
  ~Groups() override { fs::remove_all(root_); }
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  void limit(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << '\n';
  }
  [[nodiscard]] std::uint64_t of(const std::string& membership) const {
    return group_limit(membership, root_.string());
  }

 private:
  fs::path root_;
};

TEST_F(Groups, TheTightestLimitUpTheTreeHolds) {
  limit("pods/one/memory.max", "max");
  limit("pods/memory.max", "268435456");
  limit("memory.max", "536870912");
  EXPECT_EQ(of("0::/pods/one\n"), 256 * mib);
  limit("pods/one/memory.max", "134217728");
  EXPECT_EQ(of("0::/pods/one\n"), 128 * mib);
  EXPECT_EQ(of("0::/\n"), 512 * mib);
}

TEST_F(Groups, OfTheFirstVersionToo) {
  limit("memory/pods/memory.limit_in_bytes", "134217728");
  limit("memory/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(of("4:cpu,memory:/pods\n1:cpu:/elsewhere\n0::/\n"), 128 * mib);
  EXPECT_EQ(of("4:memory:/\n"), 0U);
}

TEST_F(Groups, NothingIsNoLimit) {
  EXPECT_EQ(of(""), 0U);
  EXPECT_EQ(of("nonsense\n0::/gone\n"), 0U);
}

TEST(MemoryBudget, TakesHalfOfLittleMemoryAndNoMoreThanItNeedsOfMuch) {
  const auto little = budget_for(128 * mib, 1);
  EXPECT_EQ(little.cache, 16 * mib);
  EXPECT_EQ(little.kept_log, 8 * mib);
  EXPECT_EQ(little.unflushed, 4 * mib);
  EXPECT_EQ(little.requests, 16 * mib);
  EXPECT_EQ(little.answers, 16 * mib);
  const MemoryBudget usual;
  for (const std::uint64_t much : {std::uint64_t{0}, std::uint64_t{64} << 30U}) {
    const auto plenty = budget_for(much, 1);
    EXPECT_EQ(plenty.cache, usual.cache);
    EXPECT_EQ(plenty.kept_log, usual.kept_log);
    EXPECT_EQ(plenty.unflushed, usual.unflushed);
    EXPECT_EQ(plenty.requests, usual.requests);
    EXPECT_EQ(plenty.answers, usual.answers);
  }
}

TEST(MemoryBudget, KeyspacesShareIt) {
  EXPECT_EQ(budget_for(256 * mib, 2).cache, budget_for(128 * mib, 1).cache);
  EXPECT_GE(budget_for(1, 100).requests, 4 * mib);
}

}  // namespace
}  // namespace quorate::server
