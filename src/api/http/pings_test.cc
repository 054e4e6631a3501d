// Keep-alive, both ways: clients that ping too often, and clients that are pinged.
#include <gmock/gmock.h>

#include "api/http/testing/client.h"
#include "api/http/testing/echo.h"

namespace quorate::http {
namespace {

using std::chrono::milliseconds;
using testing::EchoServer;
using testing::Http2Client;
using testing::RawClient;

TEST(Pings, WhoPingsTooOftenIsToldWhy) {
  EchoServer server(Limits{.ping_min_time = std::chrono::hours(1)});
  Http2Client client(server.io, server.port());
  for (int i = 0; i < 5; ++i) client.ping();
  EXPECT_FALSE(client.until([] { return false; })) << "it is closed";
  EXPECT_EQ(client.goaways(), 1);
  EXPECT_EQ(client.parting(), "too_many_pings");  // gRPC's clients slow down at these words
}

TEST(Pings, WhoIsServedMayPing) {
  EchoServer server(Limits{.ping_min_time = std::chrono::hours(1)});
  Http2Client client(server.io, server.port());
  for (int i = 0; i < 20; ++i) {
    client.ping();
    EXPECT_EQ(client.unary("/t/Echo", "x").grpc_status(), "0");
  }
  EXPECT_EQ(client.goaways(), 0);
}

TEST(Pings, ByDefaultNobodyIsSentAway) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  for (int i = 0; i < 100; ++i) client.ping();
  EXPECT_EQ(client.unary("/t/Echo", "x").grpc_status(), "0");
  EXPECT_EQ(client.goaways(), 0);
}

TEST(Pings, ASilentClientIsAskedAndStaysIfItAnswers) {
  EchoServer server(Limits{.ping_interval = milliseconds(10), .tick = milliseconds(2)});
  Http2Client client(server.io, server.port());
  EXPECT_TRUE(client.until([&] { return client.pings() >= 3; }));
  EXPECT_EQ(client.unary("/t/Echo", "x").grpc_status(), "0");
}

TEST(Pings, ASilentClientThatDoesNotAnswerIsClosed) {
  EchoServer server(
      Limits{.ping_interval = milliseconds(10), .ping_timeout = milliseconds(10), .tick = milliseconds(2)});
  RawClient client(server.io, server.port());
  client.write(std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
  EXPECT_TRUE(client.until_closed());
  EXPECT_THAT(client.received(), ::testing::HasSubstr("alive?"));
}

}  // namespace
}  // namespace quorate::http
