#include "storage/crc32c.h"

#include <string>

#include <gtest/gtest.h>

#include "core/rng.h"

namespace quorate::storage {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, GivesThePublishedValues) {
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  for (auto* function : {crc32c, crc32c_portable}) {
    EXPECT_EQ(function(std::string(32, '\0'), 0), 0x8a9136aaU);
    EXPECT_EQ(function(std::string(32, '\xff'), 0), 0x62a8ab43U);
    EXPECT_EQ(function(ascending, 0), 0x46dd794eU);
    EXPECT_EQ(function("123456789", 0), 0xe3069283U);
    EXPECT_EQ(function("", 0), 0U);
  }
}

TEST(Crc32c, HardwareAndTablesAgreeAtEveryLengthAndCut) {
  Rng rng(1);
  std::string text;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(crc32c(text), crc32c_portable(text));
    const auto cut = rng.below(text.size() + 1);
    EXPECT_EQ(crc32c(text.substr(cut), crc32c(text.substr(0, cut))), crc32c(text));
    text += static_cast<char>(rng.next());
  }
}

}  // namespace
}  // namespace quorate::storage
