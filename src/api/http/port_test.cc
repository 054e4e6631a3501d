// The port as such: protocol detection, HTTP/1.1, time-outs, bounds, shutdown, and clients that misbehave.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "api/http/testing/client.h"
#include "api/http/testing/echo.h"

namespace quorate::http {
namespace {

using std::chrono::milliseconds;
using testing::EchoServer;
using testing::Http2Client;
using testing::RawClient;

constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const Limits quick{
    .tick = milliseconds(5), .head_timeout = milliseconds(40), .body_timeout = milliseconds(40)};

std::string frame_head(std::size_t size, int type, int flags, std::uint32_t stream) {
  std::string out;
  for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(size >> static_cast<unsigned>(shift));
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(stream >> static_cast<unsigned>(shift));
  return out;
}

TEST(Port, SettingsAreSentAtOnce) {  // Go and Java clients wait for them before their first request
  EchoServer server;
  RawClient client(server.io, server.port());
  client.write(preface);
  ASSERT_TRUE(client.until([&] { return client.received().size() >= 9; }));
  EXPECT_EQ(client.received()[3], 4);  // SETTINGS
}

TEST(Port, PrefaceInPieces) {
  EchoServer server;
  RawClient client(server.io, server.port());
  for (const char c : preface) {
    client.write({&c, 1});
    client.read();
  }
  client.write(frame_head(0, 4, 0, 0));
  EXPECT_TRUE(client.until([&] { return client.received().size() >= 9; }));
  EXPECT_FALSE(client.closed());
}

TEST(Port, Http1KeepAliveAndPipelining) {
  EchoServer server;
  RawClient client(server.io, server.port());
  client.write("GET /one?q HTTP/1.1\r\nhost: t\r\nX-Test: yes\r\n\r\n");
  ASSERT_TRUE(client.until_received("/one?q|yes|"));
  client.write(
      "GET /two HTTP/1.1\r\nhost: t\r\n\r\nPOST /three HTTP/1.1\r\nhost: t\r\ncontent-length: "
      "4\r\n\r\nbodyGET /four HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
  EXPECT_TRUE(client.until_closed());
  const auto& text = client.received();
  EXPECT_LT(text.find("/two||"), text.find("/three||body"));
  EXPECT_LT(text.find("/three||body"), text.find("/four||"));
}

TEST(Port, Http1ClientsThatPipelineAndVanishAreNoticed) {
  EchoServer server;
  {
    RawClient client(server.io, server.port());
    client.write("GET /hold HTTP/1.1\r\nhost: t\r\n\r\n");
    client.write(std::string(1 << 20, 'x'));  // more than is read ahead
    while (server.echo.traffic.sent == 0) server.io.poll();
  }  // which resets the connection, since the answer is not read
  Http2Client other(server.io, server.port());
  EXPECT_EQ(other.unary("/t/Echo", "x").grpc_status(), "0");
  EXPECT_TRUE(other.until([&] { return server.listener.statistics().connections == 1; }));
}

TEST(Port, Http1PipelinedInputCountsAsArriving) {
  EchoServer server(Limits{.max_arriving = 20'000});
  RawClient pipelining(server.io, server.port());
  pipelining.write("GET /hold HTTP/1.1\r\nhost: t\r\n\r\n" + std::string(15'000, 'x'));
  ASSERT_TRUE(pipelining.until_received("200 OK"));
  RawClient other(server.io, server.port());
  other.write("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 20000\r\n\r\n" + std::string(10'000, 'x'));
  EXPECT_TRUE(other.until_received(" 503 "));
}

// What was asked first is answered; the rest has to come again.
TEST(Port, Http1PipelinedInputBeyondTheBoundIsNotKept) {
  EchoServer server(Limits{.max_arriving = 20'000});
  RawClient client(server.io, server.port());
  client.write("GET /one HTTP/1.1\r\nhost: t\r\n\r\n" + std::string(30'000, 'x'));
  EXPECT_TRUE(client.until_closed());
  EXPECT_THAT(client.received(), ::testing::HasSubstr("/one||"));
  EXPECT_THAT(client.received(), ::testing::HasSubstr("connection: close"));
  EXPECT_THAT(client.received(), ::testing::Not(::testing::HasSubstr(" 503 ")));
}

TEST(Port, Http1LargeAnswersGoOutInTurns) {
  EchoServer server;
  RawClient client(server.io, server.port());
  RawClient other(server.io, server.port());
  client.write("GET /big?30000000 HTTP/1.1\r\nhost: t\r\n\r\n");
  for (int i = 0; i < 20; ++i) {
    other.received().clear();
    other.write("GET /small HTTP/1.1\r\nhost: t\r\n\r\n");
    EXPECT_TRUE(other.until_received("/small||"));
  }
  EXPECT_LT(server.echo.traffic.sent, 25'000'000U);  // the rest waits until the client takes it
  client.write("GET /next HTTP/1.1\r\nhost: t\r\n\r\n");
  EXPECT_TRUE(client.until([&] { return client.received().ends_with("/next||"); }));
  EXPECT_NE(client.received().find("xHTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n/next||"),
            std::string::npos);
  EXPECT_GT(client.received().size(), 30'000'000U);
}

TEST(Port, Http1ChunkedBodyAndContinue) {
  EchoServer server;
  RawClient client(server.io, server.port());
  client.write("POST /c HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(client.until_received("100 Continue"));
  client.write("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_TRUE(client.until_received("/c||abcde"));
}

TEST(Port, UpgradesToHttp2AreIgnored) {  // RFC 9113 §3.1: there is none any more
  EchoServer server;
  RawClient client(server.io, server.port());
  client.write(
      "GET /page HTTP/1.1\r\nhost: t\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
      "http2-settings: AAMAAABkAAQAAP__\r\n\r\n");
  EXPECT_TRUE(client.until_received("/page||"));
  EXPECT_TRUE(client.received().starts_with("HTTP/1.1 200 "));
  EXPECT_FALSE(client.closed());
}

TEST(Port, Http1Http10) {
  EchoServer server;
  RawClient client(server.io, server.port());
  client.write("GET /old HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(client.until_closed());
  EXPECT_THAT(client.received(), ::testing::HasSubstr("/old||"));
}

TEST(Port, Http1Nonsense) {
  for (const std::string& bytes : {std::string("\x16\x03\x01\x02\0\x01", 6), std::string("GET\r\n\r\n"),
                                   std::string("PUT /x HTTP/9.9\r\n\r\n"), std::string(200, '\xFF'),
                                   std::string("GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n")}) {
    EchoServer server;
    RawClient client(server.io, server.port());
    client.write(bytes);
    EXPECT_TRUE(client.until_closed()) << bytes;
    EXPECT_THAT(client.received(), ::testing::HasSubstr("400")) << bytes;
  }
}

TEST(Port, Http1TooLongHeadAndBody) {
  EchoServer server(Limits{.max_header_bytes = 2000, .max_http1_body = 1000});
  RawClient head(server.io, server.port());
  head.write("GET / HTTP/1.1\r\nx: " + std::string(5000, 'x') + "\r\n\r\n");
  EXPECT_TRUE(head.until_closed());
  EXPECT_THAT(head.received(), ::testing::HasSubstr(" 431 "));
  RawClient body(server.io, server.port());
  body.write("POST / HTTP/1.1\r\ncontent-length: 2000\r\n\r\n" + std::string(2000, 'x'));
  EXPECT_TRUE(body.until_closed());
  EXPECT_THAT(body.received(), ::testing::HasSubstr(" 413 "));
}

TEST(Port, SlowHeadsAndBodiesAreCutOff) {
  for (const std::string& bytes : {std::string(), std::string("GET / HT"), std::string("PRI"),
                                   std::string(preface.substr(0, 20)), std::string(preface)}) {
    EchoServer server(quick);
    RawClient client(server.io, server.port());
    client.write(bytes);
    EXPECT_TRUE(client.until_closed()) << bytes;
  }
  EchoServer server(quick);
  RawClient client(server.io, server.port());
  client.write("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc");
  EXPECT_TRUE(client.until_closed());
  EXPECT_THAT(client.received(), ::testing::HasSubstr(" 408 "));
}

TEST(Port, HeaderBlockWithoutEndIsCutOff) {
  EchoServer server(quick);
  RawClient client(server.io, server.port());
  client.write(std::string(preface) + frame_head(0, 4, 0, 0) + frame_head(1, 1, 0, 1) +
               "\x82");  // HEADERS, no END_HEADERS
  EXPECT_TRUE(client.until_closed());
}

TEST(Port, IdleConnectionsThatSpokeHttp2StayOpen) {
  EchoServer server(quick);
  Http2Client client(server.io, server.port());
  EXPECT_EQ(client.unary("/t/Echo", "x").grpc_status(), "0");
  const auto later = Clock::now() + milliseconds(150);
  client.until([&] { return Clock::now() > later; });
  EXPECT_EQ(client.unary("/t/Echo", "x").grpc_status(), "0");
}

TEST(Port, BrokenFramesEndTheConnectionOnly) {
  const std::string hello = std::string(preface) + frame_head(0, 4, 0, 0);
  const std::vector<std::string> broken = {
      "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + std::string(20, 'x'),
      hello + frame_head(0xFFFFFF, 0, 0, 1),                  // longer than the maximum frame
      hello + frame_head(4, 0, 1, 1) + "data",                // DATA on a stream that is not open
      hello + frame_head(3, 1, 5, 1) + "\xFF\xFF\xFF",        // HPACK nonsense
      hello + frame_head(5, 4, 0, 0) + "12345",               // SETTINGS of a wrong size
      hello + frame_head(4, 8, 0, 0) + std::string(4, '\0'),  // WINDOW_UPDATE by nothing
      hello + frame_head(4, 9, 4, 1) + "cont",                // CONTINUATION of nothing
      hello + frame_head(8, 6, 0, 7) + "pingping",            // PING on a stream
      hello + frame_head(1, 1, 5, 2) + "\x82",                // an even stream
  };
  EchoServer server;
  Http2Client other(server.io, server.port());
  for (const auto& bytes : broken) {
    RawClient client(server.io, server.port());
    client.write(bytes);
    EXPECT_TRUE(client.until_closed()) << ::testing::PrintToString(bytes);
  }
  EXPECT_EQ(other.unary("/t/Echo", "x").grpc_status(), "0");
}

TEST(Port, Http2PagesAndLongHeads) {
  EchoServer server(Limits{.max_header_bytes = 4000});
  Http2Client client(server.io, server.port());
  EXPECT_EQ(client.finished(client.open("GET", "/page", {{"x-test", "h2"}}, true)).body, "/page|h2|");
  EXPECT_EQ(client.finished(client.open("GET", "/", {{"x-test", std::string(5000, 'x')}}, true)).status,
            "431");
  EXPECT_EQ(client.finished(client.open("GET", "/page", {}, true)).status, "200");
}

TEST(Port, ClientThatNeverReadsCostsABound) {
  EchoServer server;
  Http2Client deaf(server.io, server.port(), (1U << 31U) - 1);
  Http2Client other(server.io, server.port());
  const auto flood = deaf.call("/t/Flood", "");
  deaf.until([&] { return !deaf.response(flood).status.empty(); });
  deaf.stop_reading();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(other.unary("/t/Echo", "x").grpc_status(), "0");
  const std::size_t stalled = server.echo.flooded;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(other.unary("/t/Echo", "x").grpc_status(), "0");
  EXPECT_EQ(server.echo.flooded, stalled);      // it waits for the client
  EXPECT_LE(server.echo.flood_peak, 270'000U);  // never more ahead than the high-water mark
  deaf.resume_reading();
  EXPECT_TRUE(deaf.until([&] { return server.echo.flooded > stalled + 1'000'000; }));
}

TEST(Port, ClosedWindowHoldsTheStreamNotTheOthers) {
  EchoServer server;
  Http2Client client(server.io, server.port(), 1000);
  const auto stalled = client.call("/t/Hold", "");
  EXPECT_EQ(client.unary("/t/Echo", "x").grpc_status(), "0");
  client.reset(stalled);
  EXPECT_EQ(client.unary("/t/Big", "100000").messages().at(0).size(), 100'005U);  // in windows of 1000
}

TEST(Port, StreamsBeyondTheOutputBoundAreRefused) {
  EchoServer server(Limits{.max_queued_output = 100'000});
  Http2Client client(server.io, server.port(), 0);  // takes nothing
  const auto big = client.call("/t/Big", "200000");
  EXPECT_TRUE(client.until([&] { return !client.response(big).status.empty(); }));
  const auto refused = client.finished(client.call("/t/Echo", "x"));
  EXPECT_EQ(refused.error, static_cast<std::uint32_t>(NGHTTP2_REFUSED_STREAM));
}

TEST(Port, UnreadAnswersOfAllClientsAreBoundedTogether) {
  EchoServer server;
  server.echo.backlog->limit = 1'000'000;
  std::vector<std::unique_ptr<Http2Client>> deaf;
  std::vector<std::int32_t> asked;
  for (int i = 0; i < 10; ++i) {
    deaf.push_back(std::make_unique<Http2Client>(server.io, server.port(), 0));  // takes nothing
    asked.push_back(deaf.back()->call("/t/Big", "400000"));
  }
  const auto answered = [&](std::size_t i) { return !deaf[i]->response(asked[i]).status.empty(); };
  for (std::size_t i = 0; i < deaf.size(); ++i) EXPECT_TRUE(deaf[i]->until([&] { return answered(i); }));
  for (std::size_t i = 0; i < deaf.size(); ++i)  // Resource exhausted
    EXPECT_EQ(deaf[i]->response(asked[i]).grpc_status(), i < 2 ? "" : "8");
  EXPECT_LE(server.echo.backlog->bytes, 1'000'000U);
  Http2Client other(server.io, server.port());
  EXPECT_EQ(other.unary("/t/Echo", "x").grpc_status(), "0");  // small answers are not refused
  EXPECT_EQ(other.unary("/t/Big", "400000").grpc_status(), "8");
  deaf.erase(deaf.begin());  // it hangs up
  EXPECT_TRUE(other.until([&] { return server.echo.backlog->bytes < 500'000; }));
  EXPECT_EQ(other.unary("/t/Big", "400000").grpc_status(), "0");
  deaf.clear();
  EXPECT_TRUE(other.until([&] { return server.echo.backlog->bytes == 0; }));
}

TEST(Port, StreamsGoOnLeanWhileTooMuchIsUnread) {
  EchoServer server;
  Http2Client deaf(server.io, server.port(), 0);
  const auto held = deaf.call("/t/Big", "400000");
  EXPECT_TRUE(deaf.until([&] { return !deaf.response(held).status.empty(); }));
  server.echo.backlog->limit = 300'000;
  Http2Client reader(server.io, server.port());
  const auto flood = reader.call("/t/Flood", "");
  EXPECT_TRUE(reader.until([&] { return server.echo.flooded > 1'000'000; }));
  EXPECT_LE(server.echo.flood_peak, 30'000U);
  reader.reset(flood);
}

TEST(Port, AnswersWithoutAWindowAreDroppedInTime) {
  EchoServer server(Limits{.tick = milliseconds(5), .stall_timeout = milliseconds(50)});
  Http2Client client(server.io, server.port(), 0);
  const auto never_read = client.call("/t/Big", "100000");
  EXPECT_EQ(client.finished(never_read).error, static_cast<std::uint32_t>(NGHTTP2_CANCEL));
  EXPECT_EQ(server.echo.backlog->bytes, 0U);
  EXPECT_FALSE(client.closed());
}

TEST(Port, StalledClientIsCutOffSoonerWhileTooMuchIsUnread) {
  EchoServer server(Limits{.tick = milliseconds(5), .pressed_timeout = milliseconds(50)});
  Http2Client client(server.io, server.port(), 0);
  const auto never_read = client.call("/t/Big", "100000");
  EXPECT_TRUE(client.until([&] { return !client.response(never_read).status.empty(); }));
  Http2Client other(server.io, server.port());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(other.unary("/t/Echo", "x").grpc_status(), "0");
  EXPECT_FALSE(client.response(never_read).closed);
  server.echo.backlog->limit = 150'000;
  EXPECT_EQ(client.finished(never_read).error, static_cast<std::uint32_t>(NGHTTP2_CANCEL));
}

TEST(Port, StalledClientIsCutOff) {
  EchoServer server(Limits{.tick = milliseconds(5), .stall_timeout = milliseconds(50)});
  Http2Client deaf(server.io, server.port(), (1U << 31U) - 1);
  const auto flood = deaf.call("/t/Flood", "");
  deaf.until([&] { return !deaf.response(flood).status.empty(); });
  deaf.stop_reading();
  Http2Client other(server.io, server.port());
  EXPECT_TRUE(other.until([&] { return server.listener.statistics().connections == 1; }));
}

TEST(Port, ConnectionsAreBounded) {
  EchoServer server(Limits{.max_connections = 2});
  RawClient one(server.io, server.port()), two(server.io, server.port());
  one.read();
  RawClient three(server.io, server.port());
  EXPECT_TRUE(three.until_closed());
  one.write("GET /in HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(one.until_received("/in"));
  EXPECT_EQ(server.listener.statistics().refused, 1U);
}

TEST(Port, ShutdownLetsCallsEnd) {
  EchoServer server(Limits{.tick = milliseconds(5)});
  Http2Client client(server.io, server.port());
  const auto held = client.call("/t/Hold", "x");
  EXPECT_TRUE(client.until([&] { return server.echo.held.size() == 1; }));
  bool down = false;
  server.listener.shutdown([&] { down = true; });
  EXPECT_TRUE(client.until([&] { return client.goaways() == 2; }));  // the notice, then the last stream
  EXPECT_FALSE(down);
  server.echo.held[0]->reply({}, Bytes::copy("done"));
  EXPECT_THAT(client.finished(held).messages(), ::testing::ElementsAre("done"));
  client.until([&] { return down; });
  server.io.restart();
  server.io.run_for(
      std::chrono::seconds(down ? 0 : 5));  // the listener's last tick comes after the connection's end
  EXPECT_TRUE(down);
}

TEST(Port, ShutdownDoesNotWaitForEver) {
  EchoServer server(Limits{.tick = milliseconds(5), .shutdown_grace = milliseconds(30)});
  Http2Client client(server.io, server.port());
  client.call("/t/Hold", "x");
  EXPECT_TRUE(client.until([&] { return server.echo.held.size() == 1; }));
  bool down = false;
  server.listener.shutdown([&] { down = true; });
  client.until([&] { return false; });
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(down);
}

// A client is taken from the kernel's queue, and before the listener hears of it, it shuts down, while
// another client stays connected. After how many turns of the loop that is so is the loop's to say.
TEST(Port, ShutdownBearsAClientThatComesThatMoment) {
  for (int turns = 0; turns < 4; ++turns) {
    EchoServer server(Limits{.tick = milliseconds(5), .shutdown_grace = milliseconds(30)});
    Http2Client client(server.io, server.port());
    client.call("/t/Hold", "x");
    EXPECT_TRUE(client.until([&] { return server.echo.held.size() == 1; }));
    const RawClient late(server.io, server.port());
    const RawClient later(server.io, server.port());
    bool down = false;
    std::function<void(int)> shut_down_after = [&](int left) {
      if (left > 0) return boost::asio::post(server.io, [&, left] { shut_down_after(left - 1); });
      server.listener.shutdown([&] { down = true; });
    };
    shut_down_after(turns);
    client.until([&] { return down; });
    EXPECT_TRUE(down) << turns;
  }
}

// While it can take in nobody, what is open still ends in time: that is what makes room.
TEST(Port, OutOfDescriptorsTheIdleAreCutOff) {
  EchoServer server(quick);
  RawClient idle(server.io, server.port());
  EXPECT_TRUE(idle.until([&] { return server.listener.statistics().connections == 1; }));
  RawClient waiting(server.io, server.port());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool cut_off = idle.until_closed();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(cut_off);
  waiting.write("GET /in HTTP/1.1\r\nhost: t\r\n\r\n");
  EXPECT_TRUE(waiting.until_received("/in"));
}

TEST(Port, TakenAddressIsTold) {
  EchoServer server;
  Listener second(server.io, server.echo);
  const auto listening = second.listen("127.0.0.1", server.port());
  ASSERT_FALSE(listening);
  EXPECT_THAT(listening.error(), ::testing::HasSubstr("127.0.0.1:" + std::to_string(server.port())));
}

}  // namespace
}  // namespace quorate::http
