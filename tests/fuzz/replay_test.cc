// Every committed input through its target: what a fuzzer once found interesting, or broken, stays a test
// wherever there is a compiler. tests/fuzz/run searches for more.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <gtest/gtest.h>

#include "fuzz.h"

namespace quorate::fuzz {
namespace {

namespace fs = std::filesystem;

class Replay : public testing::Test {
 public:
  Replay(std::string name, Target target) : name_(std::move(name)), target_(target) {}
  void TestBody() override {
    const fs::path folder = fs::path(QUORATE_CORPORA) / name_;
    ASSERT_TRUE(fs::is_directory(folder)) << folder << " is missing";
    std::vector<fs::path> inputs;
    for (const auto& file : fs::directory_iterator(folder)) inputs.push_back(file.path());
    std::ranges::sort(inputs);
    EXPECT_FALSE(inputs.empty());
    target_({});
    for (const auto& path : inputs) {
      std::ifstream file(path, std::ios::binary);
      const std::string input{std::istreambuf_iterator<char>(file), {}};
      SCOPED_TRACE(path.string());
      target_(input);
    }
  }

 private:
  std::string name_;
  Target target_;
};

}  // namespace
}  // namespace quorate::fuzz

int main(int argc, char** argv) {
  // Files that are written anew for each input: a disk would be waited for.
  if (std::filesystem::is_directory("/dev/shm")) setenv("TMPDIR", "/dev/shm", 0);
  testing::InitGoogleTest(&argc, argv);
  for (const auto& entry : quorate::fuzz::targets()) {
    testing::RegisterTest(
        "Corpus", entry.first.c_str(), nullptr, nullptr, __FILE__, __LINE__,
        [&entry]() -> testing::Test* { return new quorate::fuzz::Replay(entry.first, entry.second); });
  }
  return RUN_ALL_TESTS();
}
