#include "server/compaction.h"

#include <gmock/gmock.h>

namespace quorate::server {
namespace {

using testing::Optional;

Instant at(Duration time) { return Instant(time); }

TEST(CompactionPlan, KeepsAPeriod) {
  CompactionPlan plan(10min, 0);
  EXPECT_EQ(plan.interval(), 1min);
  EXPECT_EQ(plan.observe(at(0min), 100), std::nullopt);
  EXPECT_EQ(plan.observe(at(5min), 150), std::nullopt);
  EXPECT_THAT(plan.observe(at(10min), 200), Optional(100));
  EXPECT_THAT(plan.observe(at(15min), 200), Optional(150));
  EXPECT_THAT(plan.observe(at(20min), 200), Optional(200));
  EXPECT_EQ(plan.observe(at(40min), 200), std::nullopt);  // nothing new to forget
}

TEST(CompactionPlan, KeepsSoManyRevisions) {
  CompactionPlan plan(0s, 1000);
  EXPECT_EQ(plan.observe(at(0s), 900), std::nullopt);
  EXPECT_THAT(plan.observe(at(5min), 2500), Optional(1500));
  EXPECT_EQ(plan.observe(at(10min), 2500), std::nullopt);
}

TEST(CompactionPlan, MayBeOff) { EXPECT_FALSE(CompactionPlan(0s, 0).wanted()); }

}  // namespace
}  // namespace quorate::server
