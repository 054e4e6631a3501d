#include "server/start_code.h"

#include <fstream>

#include <gtest/gtest.h>

namespace quorate::server {
namespace {

// Of this process, mapped from files.
std::size_t mapped_pages() {
  std::size_t size = 0, resident = 0, shared = 0;
  std::ifstream("/proc/self/statm") >> size >> resident >> shared;
  return shared;
}

TEST(StartCode, IsUnmapped) {
  const std::size_t before = mapped_pages();
  ASSERT_GT(before, 0U);
  unmap_start_code();
  EXPECT_LT(mapped_pages(), before);
}

}  // namespace
}  // namespace quorate::server
