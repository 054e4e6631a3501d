// A WebSocket's frames as a client gets them: whole, whatever stands between them.
#include <gmock/gmock.h>

#include "api/http/testing/client.h"
#include "api/http/testing/echo.h"

namespace quorate::http {
namespace {

using std::chrono::milliseconds;
using testing::EchoServer;
using ::testing::ElementsAre;
using ::testing::Pair;
using testing::RawClient;

constexpr int text = 0x81, close_frame = 0x88, ping = 0x89, pong = 0x8A;
const std::string normal_end = "\x03\xe8";

// As a client sends it: masked, with zeros.
std::string sent(int first, const std::string& payload) {
  return std::string{static_cast<char>(first), static_cast<char>(0x80U | payload.size()), 0, 0, 0, 0} +
         payload;
}

class WebSocketSession : public ::testing::Test {
 protected:
  WebSocketSession() : client(server.io, server.port()) {
    client.write(
        "GET /lines HTTP/1.1\r\nhost: t\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_TRUE(client.until_received("\r\n\r\n"));
    client.received().clear();
  }
  // What came: how each frame begins, and how long its payload is, that of control frames itself.
  std::vector<std::pair<int, std::string>> frames() {
    std::vector<std::pair<int, std::string>> found;
    std::string_view rest = client.received();
    const auto number = [&](std::size_t bytes) {
      std::size_t n = 0;
      for (const char c : rest.substr(0, bytes)) n = n << 8U | static_cast<unsigned char>(c);
      rest.remove_prefix(std::min(bytes, rest.size()));
      return n;
    };
    while (!rest.empty()) {
      const auto first = static_cast<int>(number(1));
      std::size_t size = number(1);
      if (size > 125) size = number(size == 126 ? 2 : 8);
      const std::string payload(rest.substr(0, size));
      rest.remove_prefix(payload.size());
      const bool plain = payload == std::string(payload.size(), 'x');
      found.emplace_back(first, first != text ? payload : plain ? std::to_string(payload.size()) : "broken");
    }
    return found;
  }
  EchoServer server{Limits{.tick = milliseconds(5), .shutdown_grace = std::chrono::hours(1)}};
  RawClient client;
};

TEST_F(WebSocketSession, PongsStandBetweenFrames) {
  client.write(sent(text, "300000") + sent(ping, "there?"));
  EXPECT_TRUE(client.until([&] { return client.received().size() >= 300'000 + 10 + 8; }));
  EXPECT_THAT(frames(), ElementsAre(Pair(pong, "there?"), Pair(text, "300000")));
  client.received().clear();
  client.write(sent(text, "30000000"));
  EXPECT_TRUE(client.until([&] { return !client.received().empty(); }));
  client.write(sent(ping, "still?") + sent(text, "7"));
  EXPECT_TRUE(client.until([&] { return client.received().size() >= 30'000'000 + 10 + 8 + 9; }));
  EXPECT_THAT(frames(), ElementsAre(Pair(text, "30000000"), Pair(text, "7"), Pair(pong, "still?")));
}

TEST_F(WebSocketSession, EndsBehindTheFrameUnderWay) {
  client.write(sent(text, "30000000"));
  EXPECT_TRUE(client.until([&] { return !client.received().empty(); }));
  client.write(sent(close_frame, normal_end));
  EXPECT_TRUE(client.until_closed());
  EXPECT_THAT(frames(), ElementsAre(Pair(text, "30000000"), Pair(close_frame, normal_end)));
}

TEST_F(WebSocketSession, ShutdownLosesNothingOfAnAnswer) {
  client.write(sent(text, "30000000") + sent(text, "7") + sent(text, "end"));
  EXPECT_TRUE(client.until([&] { return !client.received().empty(); }));
  server.listener.shutdown([] {});
  EXPECT_TRUE(client.until([&] { return client.received().ends_with("\x88\x02" + normal_end); }));
  EXPECT_THAT(frames(), ElementsAre(Pair(text, "30000000"), Pair(text, "7"), Pair(close_frame, normal_end)));
}

}  // namespace
}  // namespace quorate::http
