#include "cli/command.h"

#include <gtest/gtest.h>

namespace quorate::cli {
namespace {

std::size_t in_front(std::vector<std::string> args) { return common_in_front(args); }

TEST(CommonOptions, MayStandInFrontOfTheVerb) {
  EXPECT_EQ(in_front({"get", "--endpoints", "a:1"}), 0U);
  EXPECT_EQ(in_front({"--endpoints", "a:1", "get", "k"}), 2U);
  EXPECT_EQ(in_front({"--endpoints=a:1", "--json", "get", "k"}), 2U);
  EXPECT_EQ(in_front({"-w", "json", "--hex", "get"}), 3U);
  EXPECT_EQ(in_front({"-wjson", "--insecure-transport=false", "get"}), 2U);
}

TEST(CommonOptions, AreToldFromThoseOfAServer) {
  EXPECT_EQ(in_front({"--name", "n0", "--data-dir", "d"}), 0U);
  EXPECT_EQ(in_front({"--cert-file", "f", "--name", "n0"}), 0U);
  EXPECT_EQ(in_front({"--prefix", "get"}), 0U);  // a verb's own stay behind it
  EXPECT_EQ(in_front({"--endpoints"}), 1U);
  EXPECT_EQ(in_front({}), 0U);
}

}  // namespace
}  // namespace quorate::cli
