#include "core/bytes.h"

#include <gtest/gtest.h>

namespace quorate {
namespace {

TEST(Bytes, SliceSharesTheBuffer) {
  const Bytes whole = Bytes::copy("hello world");
  const Bytes part = whole.slice(6, 5);
  EXPECT_EQ(part, "world");
  EXPECT_EQ(part.data(), whole.data() + 6);
}

TEST(Bytes, SliceIsCutToWhatThereIs) {
  const Bytes whole = Bytes::copy("abc");
  EXPECT_EQ(whole.slice(1, 100), "bc");
  EXPECT_TRUE(whole.slice(7, 1).empty());
}

TEST(Bytes, SliceOutlivesTheWhole) {
  Bytes part;
  {
    const Bytes whole = Bytes::adopt(std::string(1000, 'x'));
    part = whole.slice(10, 20);
  }
  EXPECT_EQ(part, std::string(20, 'x'));
}

TEST(Bytes, EmptyAllocatesNothing) {
  EXPECT_EQ(Bytes::copy("").data(), nullptr);
  EXPECT_TRUE(Bytes::adopt({}).empty());
}

TEST(Bytes, OrdersAsText) {
  EXPECT_LT(Bytes::copy("a"), Bytes::copy("b"));
  EXPECT_LT(Bytes::copy("a"), Bytes::copy("aa"));
  EXPECT_LT(Bytes::copy("a"), Bytes::copy("\xff"));
}

}  // namespace
}  // namespace quorate
