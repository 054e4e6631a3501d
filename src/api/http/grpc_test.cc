#include "api/http/grpc.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "api/http/testing/client.h"
#include "api/http/testing/echo.h"

namespace quorate::http {
namespace {

using testing::EchoServer;
using testing::Http2Client;

TEST(GrpcTimeout, UnitsAndLimits) {
  using namespace std::chrono_literals;
  EXPECT_EQ(grpc::parse_timeout("10S"), Clock::duration(10s));
  EXPECT_EQ(grpc::parse_timeout("5m"), Clock::duration(5ms));
  EXPECT_EQ(grpc::parse_timeout("7u"), Clock::duration(7us));
  EXPECT_EQ(grpc::parse_timeout("99999999n"), Clock::duration(99999999ns));
  EXPECT_EQ(grpc::parse_timeout("1H"), Clock::duration(1h));
  EXPECT_TRUE(grpc::parse_timeout("99999999H"));
  for (const char* bad : {"", "S", "10", "-1S", "1x", "123456789S", "1 S"})
    EXPECT_FALSE(grpc::parse_timeout(bad)) << bad;
}

TEST(GrpcMessage, PercentEncoding) {
  EXPECT_EQ(grpc::percent_encode("plain: text"), "plain: text");
  EXPECT_EQ(grpc::percent_encode("50% \n\xC3\xA9"), "50%25 %0A%C3%A9");
}

TEST(GrpcContentType, OnlyProtobuf) {
  EXPECT_TRUE(grpc::is_grpc("application/grpc"));
  EXPECT_TRUE(grpc::is_grpc("application/grpc+proto"));
  EXPECT_TRUE(grpc::is_grpc("application/grpc;charset=utf-8"));
  EXPECT_FALSE(grpc::is_grpc("application/grpc-web"));
  EXPECT_FALSE(grpc::is_grpc("application/grpc+json"));
  EXPECT_FALSE(grpc::is_grpc("application/json"));
}

TEST(Grpc, UnaryCall) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  const auto response = client.unary("/t/Echo", "hello");
  EXPECT_EQ(response.status, "200");
  EXPECT_EQ(response.headers.at("content-type"), "application/grpc");
  EXPECT_EQ(response.grpc_status(), "0");
  EXPECT_THAT(response.messages(), ::testing::ElementsAre("hello"));
  EXPECT_THAT(server.echo.codes, ::testing::ElementsAre(Code::ok));
}

TEST(Grpc, EmptyMessageIsAMessage) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  EXPECT_THAT(client.unary("/t/Echo", "").messages(), ::testing::ElementsAre(""));
}

TEST(Grpc, MessageInPieces) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  const auto stream = client.open_call("/t/Echo");
  for (const char c : Http2Client::frame("split into bytes")) {
    client.send(stream, {&c, 1});
    client.until([turns = 0]() mutable { return ++turns > 2; });
  }
  client.half_close(stream);
  EXPECT_THAT(client.finished(stream).messages(), ::testing::ElementsAre("split into bytes"));
  EXPECT_EQ(server.echo.partial, 0U);
}

TEST(Grpc, LargeMessagesPassTheWindows) {
  EchoServer server;
  Http2Client client(server.io, server.port(), 1U << 16U);  // the client's windows are the smallest
  const std::string message(2'000'000, 'm');
  const auto response = client.unary("/t/Echo", message);
  EXPECT_EQ(response.grpc_status(), "0");
  ASSERT_EQ(response.messages().size(), 1U);
  EXPECT_EQ(response.messages()[0], message);
}

TEST(Grpc, ErrorIsTrailersOnlyAndEncoded) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  const auto response = client.unary("/t/Fail", "100% wrong\n");
  EXPECT_EQ(response.status, "200");
  EXPECT_EQ(response.headers.at("grpc-status"), "3");
  EXPECT_EQ(response.headers.at("grpc-message"), "100%25 wrong%0A");
  EXPECT_TRUE(response.trailers.empty());
  EXPECT_TRUE(response.body.empty());
}

TEST(Grpc, UnknownMethod) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  EXPECT_EQ(client.unary("/t/Nothing", "x").grpc_status(), "12");
}

TEST(Grpc, LengthBeyondTheLimitIsRefusedBeforeItArrives) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  for (const std::string& prefix : {std::string("\0\x80\0\0\0", 5), std::string("\0\xFF\xFF\xFF\xFF", 5),
                                    std::string("\0\0\x20\0\x01", 5)}) {
    const auto stream = client.open_call("/t/Echo");
    client.send(stream, prefix);
    EXPECT_EQ(client.finished(stream).grpc_status(), "8");
  }
}

// grpc/grpc, doc/compression.md: who compresses is told what would be taken.
TEST(Grpc, CompressedMessagesAreNotSupported) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  const auto flagged = client.open_call("/t/Echo");
  client.send(flagged, std::string("\1\0\0\0\1x", 6));
  EXPECT_EQ(client.finished(flagged).grpc_status(), "13") << "nothing says how it is compressed";
  const auto refused = client.unary("/t/Echo", "x", {{"grpc-encoding", "gzip"}});
  EXPECT_EQ(refused.grpc_status(), "12");
  EXPECT_EQ(refused.headers.at("grpc-accept-encoding"), "identity");
  EXPECT_EQ(client.unary("/t/Echo", "x", {{"grpc-encoding", "identity"}}).grpc_status(), "0");
}

TEST(Grpc, TruncatedMissingAndDoubledMessages) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  for (const std::string& body : {std::string("\0\0\0\0\5he", 7), std::string("\0\0", 2), std::string(),
                                  Http2Client::frame("a") + Http2Client::frame("b")}) {
    const auto stream = client.open_call("/t/Echo");
    client.send(stream, body);
    client.half_close(stream);
    EXPECT_EQ(client.finished(stream).grpc_status(), "13");
  }
  EXPECT_EQ(server.echo.partial, 0U);
}

TEST(Grpc, BytesOfBegunMessagesAreBounded) {
  EchoServer server;
  server.echo.max_partial = 100'000;
  Http2Client client(server.io, server.port());
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(client.open_call("/t/Echo"));
    client.send(streams.back(), std::string("\0\0\1\0\0", 5) + std::string(30'000, 'p'));
  }
  const auto refused = [&] {
    return std::ranges::count_if(streams,
                                 [&](auto stream) { return client.response(stream).grpc_status() == "8"; });
  };
  EXPECT_TRUE(client.until([&] { return refused() >= 1; }));  // whichever had the byte too many
  EXPECT_LE(server.echo.partial, 100'000U);
  for (const auto stream : streams) client.reset(stream);
  EXPECT_TRUE(client.until([&] { return server.echo.partial == 0; }));
}

TEST(Grpc, BidirectionalStreamIsServedBeforeItsEnd) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  const auto stream = client.open_call("/t/Chat");
  client.send_message(stream, "one");
  EXPECT_TRUE(client.until_messages(stream, 1));
  client.send_message(stream, "two");
  EXPECT_TRUE(client.until_messages(stream, 2));
  EXPECT_FALSE(client.response(stream).closed);
  client.half_close(stream);
  const auto& response = client.finished(stream);
  EXPECT_THAT(response.messages(), ::testing::ElementsAre("one", "two"));
  EXPECT_EQ(response.grpc_status(), "0");
}

TEST(Grpc, DeadlineEndsTheCall) {
  EchoServer server(Limits{.tick = std::chrono::milliseconds(5)});
  Http2Client client(server.io, server.port());
  const auto response = client.unary("/t/Hold", "x", {{"grpc-timeout", "20m"}});
  EXPECT_EQ(response.grpc_status(), "4");
  ASSERT_EQ(server.echo.held.size(), 1U);
  server.echo.held[0]->reply({}, Bytes::copy("too late"));  // goes nowhere, harms nothing
  EXPECT_EQ(client.unary("/t/Echo", "alive").grpc_status(), "0");
}

TEST(Grpc, CancelledCallsGoNowhere) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  const auto stream = client.call("/t/Hold", "x");
  EXPECT_TRUE(client.until([&] { return server.echo.held.size() == 1; }));
  client.reset(stream);
  EXPECT_TRUE(client.until([&] { return !server.echo.held[0]->open(); }));
  server.echo.held[0]->reply({}, Bytes::copy("nobody listens"));
  EXPECT_THAT(server.echo.codes, ::testing::ElementsAre(Code::cancelled));
}

TEST(Grpc, ManyCancelledStreamsKeepTheConnection) {
  EchoServer server;
  Http2Client client(server.io, server.port());
  for (int round = 0; round < 30; ++round) {  // 3000: three times what nghttp2 would allow by itself
    std::vector<std::int32_t> streams;
    for (int i = 0; i < 100; ++i) streams.push_back(client.call("/t/Hold", "x"));
    const auto expected = static_cast<std::size_t>(100 * (round + 1));
    ASSERT_TRUE(client.until([&] { return server.echo.held.size() == expected; }));
    for (const auto stream : streams) client.reset(stream);
  }
  EXPECT_EQ(client.unary("/t/Echo", "alive").grpc_status(), "0");
  EXPECT_EQ(client.goaways(), 0);
}

}  // namespace
}  // namespace quorate::http
