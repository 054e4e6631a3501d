#include "runtime/time_slice.h"

#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

namespace quorate::runtime {
namespace {

TEST(TimeSlice, LeavesPolicyAndNicenessAsTheyWere) {
  std::thread([] {  // niceness is a thread's own, and can not be taken back
    ASSERT_EQ(::setpriority(PRIO_PROCESS, 0, 19), 0);
    prefer_short_turns();
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), 19);
    EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
  })
      .join();
}

}  // namespace
}  // namespace quorate::runtime
