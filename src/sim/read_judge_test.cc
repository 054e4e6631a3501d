#include "sim/read_judge.h"

#include <gtest/gtest.h>

namespace quorate::sim {
namespace {

using replicated_log::ReadMode;

// Node 1 leads three voters.
class ReadJudgeTest : public testing::Test {
 protected:
  ReadJudgeTest() {
    for (std::uint64_t id = 1; id <= 3; ++id) members_.members.push_back({NodeId(id), Role::voter, {}});
    settings_.election_timeout = 100ms;
    settings_.max_clock_drift_ppm = 100'000;
  }
  static Instant at(Duration time) { return Instant(1h + time); }
  // The leader sends at `sent`, node 2 answers, and the answer arrives.
  void round_trip(Duration sent) {
    judge_.arrived(0, 1, judge_.stamp(0, 1, at(sent)));
    judge_.arrived(1, 0, judge_.stamp(1, 0, Instant(5s)));
  }
  bool accepts(ReadMode mode, Duration asked, Duration now, Epoch latest = Epoch(3)) {
    const ReadJudge::Asked read{1, mode, at(asked), Epoch(3), latest, Index(7)};
    return !judge_.ready(NodeId(1), read, Index(7), true, at(now), members_, settings_);
  }

  ReadJudge judge_;
  Membership members_;
  replicated_log::Settings settings_;
};

TEST_F(ReadJudgeTest, AcceptsARoundTripBehindTheRead) {
  round_trip(20ms);
  EXPECT_TRUE(accepts(ReadMode::quorum, 20ms, 30ms));
}

TEST_F(ReadJudgeTest, FindsARoundTripThatBeganBeforeTheRead) {
  round_trip(20ms);
  EXPECT_FALSE(accepts(ReadMode::quorum, 21ms, 30ms));
}

TEST_F(ReadJudgeTest, FindsAnAnswerThatKnowsNothingOfTheRead) {
  const auto early = judge_.stamp(1, 0, Instant(5s));
  round_trip(20ms);
  judge_.arrived(0, 1, judge_.stamp(0, 1, at(40ms)));  // heard, and the answer to it is lost
  judge_.arrived(1, 0, early);
  EXPECT_FALSE(accepts(ReadMode::quorum, 30ms, 50ms));
}

TEST_F(ReadJudgeTest, FindsAnOldIndex) {
  const ReadJudge::Asked read{1, ReadMode::quorum, at(0ms), Epoch(), Epoch(3), Index(8)};
  EXPECT_TRUE(judge_.ready(NodeId(2), read, Index(7), false, at(1ms), members_, settings_));
  EXPECT_FALSE(judge_.ready(NodeId(2), read, Index(8), false, at(1ms), members_, settings_));
}

TEST_F(ReadJudgeTest, AcceptsALeaseWhileItIsYoung) {
  round_trip(20ms);
  EXPECT_TRUE(accepts(ReadMode::lease, 60ms, 60ms));
  EXPECT_FALSE(accepts(ReadMode::quorum, 60ms, 60ms));
}

// 100 ms by a clock that runs a tenth faster than the leader's.
TEST_F(ReadJudgeTest, FindsALeaseThatForgetsTheDrift) {
  round_trip(0ms);
  EXPECT_TRUE(accepts(ReadMode::lease, 90ms, 90ms));
  EXPECT_FALSE(accepts(ReadMode::lease, 92ms, 92ms));
}

TEST_F(ReadJudgeTest, FindsAConfirmationThoughAnotherLeads) {
  round_trip(20ms);
  EXPECT_FALSE(accepts(ReadMode::lease, 20ms, 20ms, Epoch(4)));
}

}  // namespace
}  // namespace quorate::sim
