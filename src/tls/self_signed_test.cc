#include "tls/self_signed.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tls/context.h"

namespace quorate::tls {
namespace {

std::string content(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

class SelfSigned : public ::testing::Test {
 protected:
  SelfSigned() {
    std::string pattern = (std::filesystem::temp_directory_path() / "quorate-self-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
  }
  ~SelfSigned() override { std::filesystem::remove_all(directory); }
  std::string directory;
};

TEST_F(SelfSigned, ServesBothSidesAndIsItsOwnAuthority) {
  const auto files = self_signed(directory + "/below", {"127.0.0.1", "localhost", "::1"});
  ASSERT_TRUE(files) << files.error();
  Settings settings;
  settings.certificate = settings.ca = files->certificate;
  settings.key = files->key;
  EXPECT_TRUE(Context::open(Side::server, settings));
  EXPECT_TRUE(Context::open(Side::client, settings));
  struct stat key = {};
  ASSERT_EQ(::stat(files->key.c_str(), &key), 0);
  EXPECT_EQ(key.st_mode & 0777U, 0600U);
}

TEST_F(SelfSigned, StaysWhileItIsValid) {
  const auto first = self_signed(directory, {"localhost"});
  ASSERT_TRUE(first);
  const auto before = content(first->certificate);
  ASSERT_TRUE(self_signed(directory, {"localhost"}));
  EXPECT_EQ(content(first->certificate), before);
  std::ofstream(first->certificate) << "no certificate";
  ASSERT_TRUE(self_signed(directory, {"localhost"}));
  EXPECT_NE(content(first->certificate), before);
  EXPECT_TRUE(content(first->certificate).starts_with("-----BEGIN CERTIFICATE-----"));
}

TEST_F(SelfSigned, TellsWhatCanNotBeWritten) {
  std::ofstream(directory + "/file") << "";
  const auto files = self_signed(directory + "/file/below", {"localhost"});
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().find("file/below"), std::string::npos);
}

}  // namespace
}  // namespace quorate::tls
