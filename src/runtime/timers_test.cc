#include "runtime/timers.h"

#include <map>

#include <gmock/gmock.h>

#include "core/rng.h"
#include "runtime/clock.h"

namespace quorate::runtime {
namespace {

Instant at(int ms) { return Instant(std::chrono::milliseconds(ms)); }
Timers::Key key(std::uint64_t n) { return {KeyspaceId(1), TimerId(n)}; }

TEST(Clock, IsTheOneThatGoesOnInSuspend) {
  const auto boot_time = [] {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  };
  const Instant before = boot_time(), read = now(), after = boot_time();
  EXPECT_LE(before, read);
  EXPECT_LE(read, after);
  const auto waited = to_steady(read + 1s);  // from here on, less what has passed
  EXPECT_LE(waited, std::chrono::steady_clock::now() + 1s);
}

TEST(Timers, FireInTheOrderOfTheirTimes) {
  Timers timers;
  timers.set(key(1), at(30));
  timers.set(key(2), at(10));
  timers.set(key(3), at(20));
  EXPECT_EQ(timers.next(), at(10));
  EXPECT_FALSE(timers.take_due(at(9)));
  EXPECT_EQ(timers.take_due(at(25)), key(2));
  EXPECT_EQ(timers.take_due(at(25)), key(3));
  EXPECT_FALSE(timers.take_due(at(25)));
  EXPECT_EQ(timers.take_due(at(30)), key(1));
  EXPECT_FALSE(timers.next());
}

TEST(Timers, AMovedTimerFiresOnceAtItsNewTime) {
  Timers timers;
  timers.set(key(1), at(10));
  timers.set(key(1), at(50));
  EXPECT_FALSE(timers.take_due(at(49)));
  EXPECT_EQ(timers.take_due(at(50)), key(1));
  timers.set(key(1), at(90));
  timers.set(key(1), at(60));
  EXPECT_EQ(timers.take_due(at(60)), key(1));
  EXPECT_FALSE(timers.take_due(at(1000)));
}

TEST(Timers, ACancelledTimerDoesNotFire) {
  Timers timers;
  timers.set(key(1), at(10));
  timers.cancel(key(1));
  EXPECT_FALSE(timers.take_due(at(10)));
  timers.set(key(1), at(20));
  EXPECT_EQ(timers.take_due(at(20)), key(1));
}

TEST(Timers, AgreesWithAPlainMap) {
  Rng rng(3);
  Timers timers;
  std::map<std::uint64_t, int> plain;
  for (int time = 0; time < 20'000; ++time) {
    const auto id = rng.below(8);
    const auto what = rng.below(4);
    if (what == 0) {
      plain.erase(id);
      timers.cancel(key(id));
    } else if (what == 1) {
      plain[id] = time + static_cast<int>(rng.below(40));
      timers.set(key(id), at(plain[id]));
    }
    std::map<std::uint64_t, int> due;
    while (auto fired = timers.take_due(at(time))) {
      EXPECT_TRUE(due.emplace(fired->second.value, plain.at(fired->second.value)).second);
      plain.erase(fired->second.value);
    }
    for (const auto& [fired, when] : due) EXPECT_LE(when, time);
    for (const auto& [left, when] : plain) EXPECT_GT(when, time);
  }
}

}  // namespace
}  // namespace quorate::runtime
