#include "core/codec.h"

#include <gtest/gtest.h>

#include "core/entry.h"

namespace quorate {
namespace {

struct Inner {
  std::uint32_t a = 0;
  Bytes text;
  friend bool operator==(const Inner&, const Inner&) = default;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (a, text))

struct Titled {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Titled, (), (name))

struct Other {
  static constexpr const char* name = "Other";
  bool flag = false;
  friend bool operator==(const Other&, const Other&) = default;
};
BOOST_DESCRIBE_STRUCT(Other, (), (flag))

struct Everything {
  Epoch epoch;
  std::int32_t number = 0;
  Duration duration{};
  double ratio = 0;
  std::vector<Inner> list;
  std::optional<Inner> maybe;
  std::variant<Inner, Other> either;
  std::map<std::string, std::uint64_t> table;
  friend bool operator==(const Everything&, const Everything&) = default;
};
BOOST_DESCRIBE_STRUCT(Everything, (), (epoch, number, duration, ratio, list, maybe, either, table))

Everything sample() {
  return {.epoch = Epoch(300),
          .number = -5,
          .duration = 15ms,
          .ratio = 0.5,
          .list = {{1, Bytes::copy("x")}, {2, {}}},
          .maybe = Inner{7, Bytes::copy("yz")},
          .either = Other{true},
          .table = {{"k", 9}}};
}

std::string hex(const Bytes& bytes) {
  std::string out;
  for (const char c : bytes.view()) {
    constexpr char digits[] = "0123456789abcdef";
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

TEST(Codec, RoundTrip) {
  const auto decoded = codec::decode<Everything>(codec::encode(sample()));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, sample());
}

// Golden bytes: what is on disks and wires must stay readable.
TEST(Codec, GoldenBytes) {
  EXPECT_EQ(hex(codec::encode(Inner{300, Bytes::copy("ab")})), "05ac02026162");
  EXPECT_EQ(hex(codec::encode(sample())),
            "24ac02098087a70e000000000000e03f020301017802020001040702797a01010101016b09");
  EXPECT_EQ(hex(codec::encode(Entry{Epoch(1), Index(2), EntryKind::payload, Bytes::copy("p")})),
            "050102010170");
}

TEST(Codec, UnknownTrailingFieldsAreSkipped) {
  const std::string newer = std::string("\x04\x07\x01x\x63", 5);  // Inner{7,"x"} and one more field
  const auto decoded = codec::decode<Inner>(Bytes::copy(newer));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, (Inner{7, Bytes::copy("x")}));
}

TEST(Codec, MissingTrailingFieldsKeepTheirDefault) {
  const auto decoded = codec::decode<Inner>(Bytes::copy(std::string("\x01\x07", 2)));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, (Inner{7, {}}));
}

TEST(Codec, EveryTruncationIsAnError) {
  const Bytes whole = codec::encode(sample());
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(codec::decode<Everything>(whole.slice(0, n))) << n;
  }
}

TEST(Codec, BadInputIsAnErrorNeverAThrow) {
  const auto error = [](std::string_view text) {
    return codec::decode<Everything>(Bytes::copy(text)).error();
  };
  EXPECT_EQ(error(std::string(11, '\xff')), codec::Error::overflow);
  EXPECT_EQ((codec::decode<std::variant<Inner, Other>>(Bytes::copy("\x09")).error()), codec::Error::bad_tag);
  EXPECT_EQ(codec::decode<std::vector<Inner>>(Bytes::copy("\xff\xff\xff\xff\x0f")).error(),
            codec::Error::truncated);
  EXPECT_EQ(codec::decode<std::uint32_t>(Bytes::copy("\xff\xff\xff\xff\x7f")).error(),
            codec::Error::overflow);
  EXPECT_EQ(codec::decode<bool>(Bytes::copy("\x02")).error(), codec::Error::bad_value);
  EXPECT_EQ(codec::decode<bool>(Bytes::copy("\x01\x01")).error(), codec::Error::trailing);
}

TEST(Codec, BytesShareTheInput) {
  const Bytes input = codec::encode(Inner{1, Bytes::copy("payload")});
  const auto decoded = codec::decode<Inner>(input);
  ASSERT_TRUE(decoded);
  EXPECT_GE(decoded->text.data(), input.data());
  EXPECT_LT(decoded->text.data(), input.data() + input.size());
}

TEST(Codec, JsonNamesFieldsAndMessages) {
  EXPECT_EQ(codec::to_json(Inner{1, Bytes::copy("a\"\n")}), R"({"a":1,"text":"a\"\u000a"})");
  EXPECT_EQ(codec::to_json(std::variant<Inner, Other>(Other{true})), R"({"type":"Other","flag":true})");
  EXPECT_EQ(codec::to_json(Titled{"t"}), R"({"name":"t"})");  // a field called `name` names no message
}

}  // namespace
}  // namespace quorate
