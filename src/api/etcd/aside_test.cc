#include "api/etcd/aside.h"

#include <thread>

#include <gtest/gtest.h>

namespace quorate::api::etcd {
namespace {

// Counts what happens to it on another thread than the one it was made on, as counters for one thread can not
// bear.
class Homebody {
 public:
  explicit Homebody(int& astray) : astray_(&astray) {}
  Homebody(const Homebody& other) : home_(other.home_), astray_(other.astray_) { look(); }
  Homebody& operator=(const Homebody&) = delete;
  ~Homebody() { look(); }

 private:
  void look() {
    if (std::this_thread::get_id() != home_) ++*astray_;
  }
  std::thread::id home_ = std::this_thread::get_id();
  int* astray_;
};

TEST(AsideTest, WorksOnAnotherThreadAndTellsOnThisOne) {
  boost::asio::io_context io;
  Aside aside(io);
  std::thread::id there;
  std::thread::id here;
  ASSERT_TRUE(aside.run([] { return std::this_thread::get_id(); },
                        [&](std::thread::id worked) {
                          there = worked;
                          here = std::this_thread::get_id();
                        }));
  io.run();
  EXPECT_EQ(here, std::this_thread::get_id());
  EXPECT_NE(there, here);
}

// A const member, such as a capture of a reference to const, is copied wherever its owner is moved.
TEST(AsideTest, WhatTheWorkAndItsEndHoldIsCopiedAndDestroyedOnThisThread) {
  int astray = 0;
  {
    boost::asio::io_context io;
    Aside aside(io);
    const Homebody held(astray);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(aside.run([held] { return 1; }, [held](int) {}));
    }
    io.run_one();
  }
  EXPECT_EQ(astray, 0);
}

TEST(AsideTest, NobodyIsToldWhenItIsGone) {
  boost::asio::io_context io;
  int told = 0;
  {
    Aside aside(io);
    ASSERT_TRUE(aside.run([] { return 1; }, [&](int) { ++told; }));
  }
  io.run();
  EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace quorate::api::etcd
