// The client against a server that answers by script.
#include "client/client.h"

#include <atomic>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gmock/gmock.h>

#include "client/fake_server.h"
#include "client/load.h"

namespace quorate::client {
namespace {

using ::testing::HasSubstr;
using Messages = std::vector<std::string>;

constexpr std::string_view kCall = "/test.Service/Call";
constexpr std::string_view kStream = "/test.Service/Stream";

std::unique_ptr<Client> make_client(std::vector<Endpoint> endpoints,
                                    std::chrono::nanoseconds timeout = std::chrono::seconds(20)) {
  Options options;
  options.endpoints = std::move(endpoints);
  options.command_timeout = timeout;
  return std::make_unique<Client>(std::move(options));
}

// An endpoint at which nobody listens: of a server that is gone.
Endpoint dead_endpoint() {
  return FakeServer([](const auto&, const auto&) { return FakeAnswer{}; }).endpoint();
}

FakeAnswer echo(const std::string& path, const Messages& messages) {
  return FakeAnswer{.messages = {path + ":" + (messages.empty() ? "" : messages.back())}};
}

TEST(Client, CallsAndIsAnswered) {
  FakeServer server(&echo);
  const auto client = make_client({server.endpoint()});
  EXPECT_EQ(*client->call_bytes(kCall, "hello", false), "/test.Service/Call:hello");
  EXPECT_EQ(*client->call_bytes(kCall, "", false), "/test.Service/Call:");
  const std::string large(3 << 20, 'x');  // beyond every flow-control window
  EXPECT_EQ(client->call_bytes(kCall, large, false)->size(), large.size() + kCall.size() + 1);
}

TEST(Client, GivesTheServersError) {
  FakeServer server([](const auto&, const auto&) {
    return FakeAnswer{.grpc_status = "11",
                      .grpc_message = "etcdserver: mvcc: required revision%20has been compacted"};
  });
  const auto client = make_client({server.endpoint()});
  const auto answer = client->call_bytes(kCall, "x", false);
  EXPECT_EQ(answer.error().code, Code::out_of_range);
  EXPECT_EQ(answer.error().message, "etcdserver: mvcc: required revision has been compacted");
}

TEST(Client, AStatusBehindTheMessageCounts) {
  FakeServer server([](const auto&, const auto&) {
    return FakeAnswer{.messages = {"x"}, .grpc_status = "13", .grpc_message = "oops"};
  });
  EXPECT_EQ(make_client({server.endpoint()})->call_bytes(kCall, "x", false).error().code, Code::internal);
}

TEST(Client, TellsWhatIsNotGrpc) {
  FakeServer server(
      [](const auto&, const auto&) { return FakeAnswer{.grpc_status = "", .http_status = 404}; });
  const auto answer = make_client({server.endpoint()})->call_bytes(kCall, "x", false);
  EXPECT_EQ(answer.error().code, Code::unimplemented);
  EXPECT_THAT(answer.error().message, HasSubstr("HTTP 404"));
}

TEST(Client, MissingTrailersAreAnError) {
  FakeServer server(
      [](const auto&, const auto&) { return FakeAnswer{.messages = {"x"}, .grpc_status = ""}; });
  EXPECT_EQ(make_client({server.endpoint()})->call_bytes(kCall, "x", false).error().code, Code::internal);
}

TEST(Client, GoesToTheNextEndpointWhenNobodyListens) {
  FakeServer server(&echo);
  const auto client = make_client({dead_endpoint(), server.endpoint()});
  EXPECT_TRUE(client->call_bytes(kCall, "x", false).has_value());
  EXPECT_EQ(client->endpoint().port, server.endpoint().port);
}

// The kernel takes connections for a frozen process.
TEST(Client, GoesToTheNextEndpointWhenAServerIsFrozen) {
  boost::asio::io_context io;
  const boost::asio::ip::tcp::acceptor frozen(io, {boost::asio::ip::address_v4::loopback(), 0});
  const auto port = std::to_string(frozen.local_endpoint().port());
  FakeServer server(&echo);
  Options options;
  options.endpoints = {{"127.0.0.1", port, "127.0.0.1:" + port}, server.endpoint()};
  options.dial_timeout = std::chrono::seconds(1);
  Client client(options);
  EXPECT_TRUE(client.call_bytes(kCall, "x", false).has_value());
  EXPECT_EQ(client.endpoint().port, server.endpoint().port);
}

// And a connection made before: who lets a call wait to its deadline is not asked first again.
TEST(Client, LeavesAServerThatDoesNotAnswerInTime) {
  FakeServer hanging([](const auto&, const auto&) { return FakeAnswer{.hang = true}; });
  FakeServer server(&echo);
  const auto client = make_client({hanging.endpoint(), server.endpoint()}, std::chrono::milliseconds(300));
  EXPECT_EQ(client->call_bytes(kCall, "x", true).error().code, Code::deadline_exceeded);
  EXPECT_EQ(client->endpoint().port, server.endpoint().port);
}

TEST(Client, SaysSoWhenNobodyListensAnywhere) {
  const auto answer = make_client({dead_endpoint(), dead_endpoint()})->call_bytes(kCall, "x", false);
  EXPECT_EQ(answer.error().code, Code::unavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("cannot connect"));
}

// A write whose connection broke may have happened: it must not be sent twice. A read may.
TEST(Client, RepeatsOnlyWhatMayBeRepeated) {
  std::atomic<int> asked = 0;
  FakeServer broken([&](const auto&, const auto&) {
    ++asked;
    return FakeAnswer{.drop_connection = true};
  });
  FakeServer good(&echo);
  EXPECT_TRUE(make_client({broken.endpoint(), good.endpoint()})->call_bytes(kCall, "x", true).has_value());
  EXPECT_EQ(asked, 1);
  const auto answer = make_client({broken.endpoint(), good.endpoint()})->call_bytes(kCall, "x", false);
  EXPECT_EQ(answer.error().code, Code::unavailable);
  EXPECT_TRUE(answer.error().may_have_happened);
  EXPECT_EQ(asked, 2);
}

TEST(Client, RepeatsAWriteThatWasRefused) {
  FakeServer refusing([](const auto&, const auto&) { return FakeAnswer{.refuse = true}; });
  FakeServer leaderless([](const auto&, const auto&) {
    return FakeAnswer{.grpc_status = "14", .grpc_message = "etcdserver: no leader"};
  });
  FakeServer good(&echo);
  const auto client = make_client({refusing.endpoint(), leaderless.endpoint(), good.endpoint()});
  EXPECT_TRUE(client->call_bytes(kCall, "x", false).has_value());
}

TEST(Client, KeepsTheDeadline) {
  FakeServer server([](const auto&, const auto&) { return FakeAnswer{.messages = {}, .hang = true}; });
  const auto answer =
      make_client({server.endpoint()}, std::chrono::milliseconds(50))->call_bytes(kCall, "x", false);
  EXPECT_EQ(answer.error().code, Code::deadline_exceeded);
}

TEST(Client, StreamsBothWaysAndEnds) {
  FakeServer server([](const auto&, const Messages& messages) {
    return FakeAnswer{.messages = {"a", messages.at(0), "c"}};
  });
  const auto client = make_client({server.endpoint()});
  auto stream = client->open_bytes(kStream, std::nullopt);
  ASSERT_TRUE(stream.has_value());
  (*stream)->send("b");  // before the stream is even opened on the wire
  EXPECT_EQ(*(*stream)->read(), "a");
  EXPECT_EQ(*(*stream)->read(), "b");
  EXPECT_EQ(*(*stream)->read(), "c");
  const auto end = (*stream)->read();
  ASSERT_FALSE(end.has_value());
  EXPECT_TRUE(end.error().ok());
}

TEST(Client, AnAbandonedStreamLeavesTheConnectionUsable) {
  FakeServer server([](const std::string& path, const Messages& messages) {
    return path == kStream ? FakeAnswer{.messages = {"x"}, .hang = true} : echo(path, messages);
  });
  const auto client = make_client({server.endpoint()});
  {
    auto stream = client->open_bytes(kStream, std::nullopt);
    (*stream)->send("b");
    EXPECT_TRUE((*stream)->read().has_value());
  }
  {
    auto never_sent = client->open_bytes(kStream, std::nullopt);
  }  // cancelled before it left
  EXPECT_TRUE(client->call_bytes(kCall, "x", false).has_value());
}

TEST(Client, ALostConnectionEndsItsStreamsAndTheNextCallConnectsAgain) {
  std::atomic<bool> drop = true;
  FakeServer server([&](const std::string& path, const Messages& messages) {
    return drop.exchange(false) ? FakeAnswer{.drop_connection = true} : echo(path, messages);
  });
  const auto client = make_client({server.endpoint()});
  auto stream = client->open_bytes(kStream, std::nullopt);
  (*stream)->send("x");
  EXPECT_EQ((*stream)->read().error().code, Code::unavailable);
  EXPECT_TRUE(client->call_bytes(kCall, "x", false).has_value());
}

LoadOptions load_of(const FakeServer& server) {
  LoadOptions options;
  options.endpoints = {server.endpoint()};
  options.connections = 2;
  options.streams = 3;
  options.warm_up = std::chrono::milliseconds(0);
  options.duration = std::chrono::milliseconds(60);
  return options;
}

// The loss is told from the loop, a moment after it happened: who gives up in between is not told any more.
TEST(Connection, ACallCancelledBehindTheLossHearsNothing) {
  class Deaf final : public CallHandler {
    void on_message(std::string_view) override { ADD_FAILURE() << "told of a message"; }
    void on_end(const Status&) override { ADD_FAILURE() << "told of the end"; }
  };
  FakeServer server([](const auto&, const auto&) { return FakeAnswer{.hang = true}; });
  Loop loop;
  Connection connection(loop);
  std::optional<Status> connected;
  connection.connect(server.endpoint(), std::chrono::seconds(20),
                     [&](const Status& status) { connected = status; });
  ASSERT_TRUE(loop.run_until([&] { return connected.has_value(); }));
  auto handler = std::make_unique<Deaf>();
  const CallId call = connection.start(kCall, "", true, *handler);
  connection.close("enough");
  connection.cancel(call);
  handler.reset();
  loop.io().restart();
  loop.io().poll();
}

TEST(Load, CountsWhatWasAnswered) {
  std::atomic<std::uint64_t> asked = 0;
  FakeServer server([&](const auto&, const auto&) {
    ++asked;
    return FakeAnswer{.messages = {""}};
  });
  auto options = load_of(server);
  options.prefill = true;
  options.workload.keys = 10;
  const auto result = run_load(options, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(result->ok, 0U);
  EXPECT_EQ(result->all().count(), result->ok);
  EXPECT_LE(result->acknowledged_writes, asked);
  EXPECT_GE(result->acknowledged_writes, result->ok + 10);
  EXPECT_EQ(result->failed(), 0U);
}

TEST(Load, CountsErrorsByTheirText) {
  FakeServer server([](const auto&, const auto&) {
    return FakeAnswer{.grpc_status = "8", .grpc_message = "too many requests"};
  });
  const auto result = run_load(load_of(server), {});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->ok, 0U);
  EXPECT_GT(result->errors.at("too many requests"), 0U);
}

// A server that never answers: in the open loop all that fell due is accounted for, sent or not.
TEST(Load, TheOpenLoopDoesNotWaitForTheServer) {
  FakeServer server([](const auto&, const auto&) { return FakeAnswer{.hang = true}; });
  auto options = load_of(server);
  options.rate = 10000;
  const auto result = run_load(options, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->ok, 0U);
  EXPECT_GT(result->backlog, 0U);
}

TEST(Load, SurvivesLostConnections) {
  std::atomic<int> asked = 0;
  FakeServer server([&](const auto&, const auto&) {
    return ++asked == 10 ? FakeAnswer{.drop_connection = true} : FakeAnswer{.messages = {""}};
  });
  auto options = load_of(server);
  options.connections = 1;
  options.duration = std::chrono::milliseconds(400);
  const auto result = run_load(options, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(result->failed(), 0U);
  EXPECT_GT(result->ok, 10U);
}

}  // namespace
}  // namespace quorate::client
