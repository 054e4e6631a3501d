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

// An endpoint at which nobody listens, and nobody else can meanwhile.
class DeadEndpoint {
 public:
  DeadEndpoint() : taken_(io_, boost::asio::ip::tcp::v4()) {
    taken_.bind({boost::asio::ip::address_v4::loopback(), 0});
  }
  [[nodiscard]] Endpoint endpoint() const {
    const auto port = std::to_string(taken_.local_endpoint().port());
    return {"127.0.0.1", port, "127.0.0.1:" + port};
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor taken_;
};

// What `attempt` gives with ever longer time-outs, until it is `good`: the shortest do for a test, but a
// machine that stands still for a moment lets them pass before anything has happened.
template <class Attempt, class Good>
auto in_time(std::chrono::milliseconds timeout, const Attempt& attempt, const Good& good) {
  for (;; timeout *= 2) {
    auto result = attempt(timeout);
    if (good(result) || timeout > std::chrono::seconds(10)) return result;
  }
}

constexpr auto connected = [](const auto& answer) {
  return answer.has_value() || answer.error().code != Code::unavailable;
};

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
  const DeadEndpoint dead;
  FakeServer server(&echo);
  const auto client = make_client({dead.endpoint(), server.endpoint()});
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
  options.command_timeout = std::chrono::seconds(60);
  std::unique_ptr<Client> client;
  const auto call = [&](auto dial_timeout) {
    options.dial_timeout = dial_timeout;
    client = std::make_unique<Client>(options);
    return client->call_bytes(kCall, "x", false);
  };
  EXPECT_TRUE(in_time(std::chrono::milliseconds(100), call, connected).has_value());
  EXPECT_EQ(client->endpoint().port, server.endpoint().port);
}

// And a connection made before: who lets a call wait to its deadline is not asked first again.
TEST(Client, LeavesAServerThatDoesNotAnswerInTime) {
  FakeServer hanging([](const auto&, const auto&) { return FakeAnswer{.hang = true}; });
  FakeServer server(&echo);
  std::unique_ptr<Client> client;
  const auto call = [&](auto timeout) {
    client = make_client({hanging.endpoint(), server.endpoint()}, timeout);
    return client->call_bytes(kCall, "x", true);
  };
  EXPECT_EQ(in_time(std::chrono::milliseconds(100), call, connected).error().code, Code::deadline_exceeded);
  EXPECT_EQ(client->endpoint().port, server.endpoint().port);
}

TEST(Client, SaysSoWhenNobodyListensAnywhere) {
  const DeadEndpoint one, other;
  const auto answer = make_client({one.endpoint(), other.endpoint()})->call_bytes(kCall, "x", false);
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
  const auto call = [&](auto timeout) {
    return make_client({server.endpoint()}, timeout)->call_bytes(kCall, "x", false);
  };
  EXPECT_EQ(in_time(std::chrono::milliseconds(50), call, connected).error().code, Code::deadline_exceeded);
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

// For ever longer, until the result is `good`.
template <class Good>
auto load_until(LoadOptions options, const Good& good) {
  const auto attempt = [&](auto duration) {
    options.duration = duration;
    return run_load(options, {});
  };
  return in_time(std::chrono::milliseconds(60), attempt,
                 [&](const auto& result) { return !result.has_value() || good(*result); });
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
  std::optional<Status> answer;
  connection.connect(server.endpoint(), std::chrono::seconds(20),
                     [&](const Status& status) { answer = status; });
  ASSERT_TRUE(loop.run_until([&] { return answer.has_value(); }));
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
  const auto result = load_until(options, [](const auto& told) { return told.ok > 0; });
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
  const auto result = load_until(load_of(server), [](const auto& told) { return told.failed() > 0; });
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->ok, 0U);
  EXPECT_THAT(result->errors, ::testing::ElementsAre(::testing::Pair("too many requests", result->failed())));
  EXPECT_GT(result->failed(), 0U);
}

// A server that never answers: in the open loop all that fell due is accounted for, sent or not, even if no
// tick of the loop came in all that time.
TEST(Load, TheOpenLoopDoesNotWaitForTheServer) {
  FakeServer server([](const auto&, const auto&) { return FakeAnswer{.hang = true}; });
  auto options = load_of(server);
  options.rate = 10000;
  const auto result = run_load(options, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->ok, 0U);
  EXPECT_GE(result->backlog, 600U - 6U);  // all but one a stream
}

TEST(Load, SurvivesLostConnections) {
  std::atomic<int> asked = 0;
  FakeServer server([&](const auto&, const auto&) {
    return ++asked == 10 ? FakeAnswer{.drop_connection = true} : FakeAnswer{.messages = {""}};
  });
  auto options = load_of(server);
  options.connections = 1;
  const auto survived = [&asked](const auto& told) {
    if (told.failed() > 0 && told.ok > 10) return true;
    asked = 0;
    return false;
  };
  const auto result = load_until(options, survived);
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(result->failed(), 0U);
  EXPECT_GT(result->ok, 10U);
}

}  // namespace
}  // namespace quorate::client
