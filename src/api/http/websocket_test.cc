#include <gmock/gmock.h>

#include "api/http/websocket_frames.h"

namespace quorate::http::websocket {
namespace {

using ::testing::ElementsAre;

// What a client sends: masked.
std::string sent(unsigned first, std::string payload, const std::string& mask = "mask") {
  std::string head = frame_head(Opcode::text, payload.size());
  head[0] = static_cast<char>(first);
  head[1] = static_cast<char>(static_cast<unsigned char>(head[1]) | 0x80U);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ mask[i % 4]);
  return head + mask + payload;
}

struct Reading {
  std::vector<std::string> messages{""};
  std::vector<std::string> controls;
  FrameReader reader{{[this](std::string_view data) { messages.back() += data; },
                      [this] { messages.emplace_back(); },
                      [this](Opcode, std::string_view payload) { controls.emplace_back(payload); }}};
};

TEST(WebSocketFrames, AcceptKeyIsThatOfTheSpecification) {  // RFC 6455 §1.3
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketFrames, HeadsAreAsShortAsTheLengthAllows) {  // RFC 6455 §5.2
  EXPECT_EQ(frame_head(Opcode::text, 125), "\x81\x7d");
  EXPECT_EQ(frame_head(Opcode::text, 126), std::string("\x81\x7e\0\x7e", 4));
  EXPECT_EQ(frame_head(Opcode::close, 65'535), "\x88\x7e\xff\xff");
  EXPECT_EQ(frame_head(Opcode::text, 65'536), std::string("\x81\x7f\0\0\0\0\0\1\0\0", 10));
}

TEST(WebSocketFrames, AnyPiecesMakeTheSameMessages) {
  const std::string large(70'000, 'x');
  const std::string bytes = sent(0x01, "one, ") + sent(0x89, "are you there") + sent(0x80, "two") +
                            sent(0x82, large) + sent(0x81, "") + sent(0x88, "");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    Reading reading;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      EXPECT_TRUE(reading.reader.read(std::string_view(bytes).substr(at, piece)));
    EXPECT_THAT(reading.messages, ElementsAre("one, two", large, "", ""));
    EXPECT_THAT(reading.controls, ElementsAre("are you there", ""));
  }
}

TEST(WebSocketFrames, WhatTheProtocolForbidsIsRefused) {
  for (const std::string& bytes :
       {std::string("\x81\x01x"),  // not masked
        sent(0xC1, "compressed"),  // no extension was agreed on
        sent(0x83, "opcode 3"), sent(0x8B, "opcode 11"), sent(0x80, "continues nothing"),
        sent(0x01, "begins") + sent(0x81, "begins again"), sent(0x09, "a ping in parts"),
        sent(0x89, std::string(126, 'p')),                     // a control frame that long
        std::string("\x81\xff\x80\0\0\0\0\0\0\0mask", 14)}) {  // a length of 2^63
    Reading reading;
    EXPECT_FALSE(reading.reader.read(bytes));
  }
}

}  // namespace
}  // namespace quorate::http::websocket
