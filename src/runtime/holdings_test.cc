#include "runtime/holdings.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "runtime/test_directory.h"
#include "storage/wal_format.h"

namespace quorate::runtime {
namespace {

namespace fs = std::filesystem;

TEST(Holdings, WhatDoesNotExistHoldsNothing) {
  const TestDirectory directory;
  EXPECT_EQ(holds_log(directory.path() + "/log"), false);
  EXPECT_EQ(holds_states(directory.path() + "/state"), false);
}

TEST(Holdings, ASegmentIsALogAndASpareIsNone) {
  const TestDirectory directory;
  std::ofstream(directory.path() + "/spare-1").put('x');
  fs::create_directory(directory.path() + "/lost+found");
  EXPECT_EQ(holds_log(directory.path()), false);
  std::ofstream(directory.path() + "/" + storage::wal::segment_name(3)).put('x');
  EXPECT_EQ(holds_log(directory.path()), true);
}

TEST(Holdings, AStateStandsBelowItsKeyspace) {
  const TestDirectory directory;
  fs::create_directories(directory.path() + "/lost+found/live-1");
  fs::create_directories(directory.path() + "/a/incoming-1");
  std::ofstream(directory.path() + "/note").put('x');
  EXPECT_EQ(holds_states(directory.path()), false);
  fs::create_directories(directory.path() + "/b/live-1");
  EXPECT_EQ(holds_states(directory.path()), true);
}

TEST(Holdings, WhatCanNotBeLookedAtIsAnError) {
  const TestDirectory directory;
  fs::create_symlink(directory.path() + "/loop", directory.path() + "/loop");
  EXPECT_FALSE(holds_log(directory.path() + "/loop"));
  EXPECT_FALSE(holds_states(directory.path()));
}

}  // namespace
}  // namespace quorate::runtime
