#include "net/frame.h"

#include <algorithm>
#include <cstring>

#include <gmock/gmock.h>

#include "core/codec.h"
#include "core/rng.h"

namespace quorate::net {
namespace {

std::string framed(KeyspaceId keyspace, std::string_view payload) {
  std::string out;
  put_header(out, keyspace, payload);
  out += payload;
  return out;
}

struct Outcome {
  std::vector<std::pair<std::uint64_t, std::string>> frames;
  std::string error;
};

// Feeds `text` in steps of at most `step` bytes.
Outcome feed(FrameReader& reader, std::string_view text, std::size_t step) {
  Outcome outcome;
  while (!text.empty()) {
    const auto space = reader.prepare();
    EXPECT_GT(space.size, 0U);
    const std::size_t n = std::min({step, text.size(), space.size});
    std::memcpy(space.data, text.data(), n);
    reader.commit(n);
    text.remove_prefix(n);
    while (true) {
      auto next = reader.next();
      if (!next) {
        outcome.error = next.error();
        return outcome;
      }
      if (!*next) break;
      outcome.frames.emplace_back((*next)->keyspace.value, (*next)->payload.str());
    }
  }
  return outcome;
}

Outcome feed(std::string_view text, std::size_t step = 1U << 20U, std::size_t limit = 1U << 20U) {
  FrameReader reader(limit);
  return feed(reader, text, step);
}

TEST(Frame, ArrivesWholeHoweverItIsCut) {
  const std::string large(200'000, 'x');
  const std::string stream = std::string(magic) + framed(KeyspaceId(1), "") + framed(KeyspaceId(2), "two") +
                             framed(KeyspaceId(3), large) + framed(KeyspaceId(4), "four");
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, stream.size()}) {
    const auto outcome = feed(stream, step);
    EXPECT_EQ(outcome.error, "");
    EXPECT_THAT(outcome.frames, testing::ElementsAre(testing::Pair(1, ""), testing::Pair(2, "two"),
                                                     testing::Pair(3, large), testing::Pair(4, "four")));
  }
}

TEST(Frame, HasTheseBytes) {
  const std::string bytes = framed(KeyspaceId(0x0102), "hi");
  ASSERT_EQ(bytes.size(), header_bytes + 2);
  EXPECT_EQ(bytes.substr(0, 4), std::string("\x02\0\0\0", 4));
  EXPECT_EQ(bytes.substr(8, 8), std::string("\x02\x01\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(16), "hi");
}

TEST(Frame, EveryFlippedBitIsNoticed) {
  const std::string good = std::string(magic) + framed(KeyspaceId(7), "a payload that matters");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(feed(bad).frames.empty()) << "bit " << bit;
  }
}

TEST(Frame, ImpossibleLengthsEndTheStreamWithoutAllocating) {
  for (const std::uint32_t length : {0xffffffffU, 0x80000000U, (1U << 20U) + 1}) {
    std::string header = framed(KeyspaceId(7), "");
    std::memcpy(header.data(), &length, 4);
    FrameReader reader(1U << 20U);
    EXPECT_THAT(feed(reader, std::string(magic) + header, 5).error,
                testing::HasSubstr("more than the allowed"));
    EXPECT_LT(reader.prepare().size, 16U << 10U);
  }
}

TEST(Frame, ControlMessagesAreSmall) {
  EXPECT_THAT(feed(std::string(magic) + framed(KeyspaceId(), std::string(max_control_bytes + 1, 'x'))).error,
              testing::HasSubstr("more than the allowed"));
}

TEST(Frame, AnotherProtocolIsNamedAsSuch) {
  EXPECT_THAT(feed("GET / HTTP/1.1\r\n").error, testing::HasSubstr("not a Quorate peer"));
  EXPECT_THAT(feed("QUORATE\x02").error, testing::HasSubstr("not a Quorate peer"));
}

TEST(Frame, ATruncatedStreamGivesOnlyWholeFrames) {
  const std::string stream = std::string(magic) + framed(KeyspaceId(1), "one") + framed(KeyspaceId(2), "two");
  for (std::size_t length = 0; length < stream.size(); ++length) {
    const auto outcome = feed(std::string_view(stream).substr(0, length));
    EXPECT_EQ(outcome.error, "");
    EXPECT_LE(outcome.frames.size(), 1U);
  }
}

TEST(Frame, RandomBytesNeverPassAsAFrame) {
  Rng rng(1);
  for (int round = 0; round < 2000; ++round) {
    std::string noise(magic);
    for (std::uint64_t i = rng.below(200); i > 0; --i) noise += static_cast<char>(rng.next());
    EXPECT_TRUE(feed(noise, 1 + rng.below(64)).frames.empty());
  }
}

TEST(Frame, PayloadsKeepTheirContentWhileMoreIsRead) {
  FrameReader reader(1U << 20U);
  std::vector<Bytes> kept;
  std::string stream(magic);
  for (int i = 0; i < 1000; ++i) stream += framed(KeyspaceId(1), "payload " + std::to_string(i));
  for (std::string_view rest = stream; !rest.empty();) {
    const auto space = reader.prepare();
    const std::size_t n = std::min({std::size_t{777}, rest.size(), space.size});
    std::memcpy(space.data, rest.data(), n);
    reader.commit(n);
    rest.remove_prefix(n);
    for (auto next = reader.next(); next && *next; next = reader.next()) kept.push_back((*next)->payload);
  }
  ASSERT_EQ(kept.size(), 1000U);
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(kept[static_cast<std::size_t>(i)].str(), "payload " + std::to_string(i));
}

TEST(Control, GoldenBytes) {
  const Control hello = Hello{.cluster = ClusterId(5),
                              .from = NodeId(1),
                              .to = NodeId(2),
                              .instance = 9,
                              .peer_urls = {"http://a:1"}};
  const std::string bytes = codec::encode(hello).str();
  EXPECT_EQ(bytes, std::string("\x00\x12\x01\x05\x01\x02\x09\x01\x0ahttp://a:1\x00", 20));
  const Control welcome = Welcome{.cluster = ClusterId(5),
                                  .from = NodeId(1),
                                  .instance = 9,
                                  .removed_from = {KeyspaceId(7), KeyspaceId(8)}};
  EXPECT_EQ(codec::encode(welcome).str(), "\x01\x07\x01\x05\x01\x09\x02\x07\x08");
}

TEST(Control, AWelcomeOfAnEarlierVersionTellsOfNoRemoval) {
  const auto control = codec::decode<Control>(Bytes::copy("\x01\x04\x01\x05\x01\x09"));
  ASSERT_TRUE(control && std::holds_alternative<Welcome>(*control));
  EXPECT_EQ(std::get<Welcome>(*control).instance, 9U);
  EXPECT_THAT(std::get<Welcome>(*control).removed_from, testing::IsEmpty());
}

}  // namespace
}  // namespace quorate::net
