#include "sim/scenario.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <gtest/gtest.h>

namespace quorate::sim {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::filesystem::path> scenarios() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(QUORATE_SCENARIOS)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

class Scenario : public testing::TestWithParam<std::filesystem::path> {};
INSTANTIATE_TEST_SUITE_P(Files, Scenario, testing::ValuesIn(scenarios()),
                         [](const auto& each) { return each.param.stem().string(); });

// After a wanted change: quorate sim --scenario tests/scenarios/*.txt --rewrite
TEST_P(Scenario, GivesItsGoldenTrace) {
  const std::string golden = read(GetParam());
  const ScenarioResult played = run_scenario(golden);
  EXPECT_FALSE(played.failed);
  EXPECT_EQ(played.text, golden);
}

TEST(RunScenario, TellsAFailedExpectationAndACommandItDoesNotKnow) {
  const auto played = run_scenario("protocol raft\nnodes 3\nexpect leader 1\ndance\n");
  EXPECT_TRUE(played.failed);
  EXPECT_NE(played.text.find("expect leader 1\n----\n1 FAILED to lead\n\n"), std::string::npos)
      << played.text;
  EXPECT_NE(played.text.find("FAILED there is no command 'dance'"), std::string::npos);
}

TEST(RunScenario, IgnoresOldOutputAndGivesTheSameAgain) {
  const std::string bare = "# one\nprotocol raft\nnodes 1\n\npropose 1 x\nstate\n";
  const auto once = run_scenario(bare);
  EXPECT_FALSE(once.failed);
  EXPECT_NE(once.text.find("1 commits 2 x"), std::string::npos) << once.text;
  EXPECT_EQ(run_scenario(once.text).text, once.text);
}

}  // namespace
}  // namespace quorate::sim
