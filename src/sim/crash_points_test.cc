#include "sim/crash_points.h"

#include <gtest/gtest.h>

#include "registry/registry.h"
#include "sim/run.h"

namespace quorate::sim {
namespace {

Options of(const char* protocol) {
  const auto found = registry::find(protocol).value();
  Options options;
  options.protocol = protocol;
  options.factory = found->make;
  options.rejoin = found->rejoin;
  options.leaders = found->family == registry::Family::replicated_log;
  return options;
}
Options raft() { return of("raft"); }

TEST(CrashPoints, NodesOfPaxosComeBackFromASampleOfThem) {
  const CrashPointReport report = enumerate_crash_points(of("paxos"), 1, 401, 2);
  EXPECT_EQ(report.failed, 0U) << report.failures.front();
  EXPECT_GT(report.operations, 25U);
  EXPECT_GT(report.recoveries, 50U);
}

TEST(CrashPoints, NodesComeBackFromASampleOfThem) {
  const CrashPointReport report = enumerate_crash_points(raft(), 1, 47, 2);
  EXPECT_EQ(report.failed, 0U) << report.failures.front();
  EXPECT_GT(report.operations, 30U);
  EXPECT_GT(report.recoveries, 50U);
  EXPECT_GT(report.runs, report.operations + report.recoveries);
}

TEST(CrashPoints, AreReachedOnceAndAgain) {
  Options options = raft();
  options.faults = FaultSet::none();
  options.nodes = 3;
  options.operations = 200;
  options.crash = CrashPoint{40, 0, CrashPoint::Survival::none, 2};
  const Result once = run_seed(options, 1);
  EXPECT_TRUE(once.ok) << once.failure;
  EXPECT_EQ(once.cuts, 1U);
  ASSERT_GT(once.recovery_operations, 0U);
  options.crash->again = once.recovery_operations;
  EXPECT_EQ(run_seed(options, 1).cuts, 2U);
}

TEST(CrashPoints, AreWrittenAsTheyAreRead) {
  const auto point = parse_crash_point("40,3,torn,2");
  ASSERT_TRUE(point);
  EXPECT_EQ(point->operation, 40U);
  EXPECT_EQ(point->again, 3U);
  EXPECT_EQ(to_string(point->survival), "torn");
  EXPECT_EQ(point->node, 2U);
  for (const char* bad :
       {"", "4", "4,3", "4,3,torn", "4,3,burnt,1", "a,3,torn,1", "4,3,,1", "4,3,torn,3", "4,3,torn,12"})
    EXPECT_FALSE(parse_crash_point(bad)) << bad;
}

}  // namespace
}  // namespace quorate::sim
