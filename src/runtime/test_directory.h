// A directory for one test, gone after it.
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace quorate::runtime {

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = testing::TempDir() + "/quorate-node-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace quorate::runtime
