// Links between nodes over TLS: mutual certificates, and what becomes of those that lack them.
#include <sstream>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "net/join.h"
#include "net/peers.h"
#include "tls/testing/authority.h"

namespace quorate::net {
namespace {

using boost::asio::ip::tcp;
using ::testing::HasSubstr;
using tls::testing::Authority;

struct Inbox : PeersHandler {
  void received(NodeId, KeyspaceId, Bytes frame) override { frames.push_back(frame.str()); }
  void connection_changed(NodeId, bool up) override { connected = up; }
  std::vector<Known> members() const override { return known; }
  std::vector<std::string> frames;
  std::vector<Known> known;
  bool connected = false;
};

class PeersTls : public ::testing::Test {
 protected:
  PeersTls() : former_(spdlog::default_logger()) {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_st>(log_)));
  }
  ~PeersTls() override {
    nodes.clear();
    spdlog::set_default_logger(former_);
  }

  struct Node {
    Node(boost::asio::io_context& context, const PeersConfig& config, bool tls)
        : peers(context, config, inbox) {
      Address address{.host = "127.0.0.1", .tls = tls};
      address.port = peers.listen(address).value();
      url = to_url(address);
    }
    Inbox inbox;
    Peers peers;
    std::string url;
  };
  PeersConfig config(std::uint64_t self) {
    PeersConfig c;
    c.self = NodeId(self);
    c.cluster = ClusterId(7);
    c.instance = ++instances;
    c.first_retry = std::chrono::milliseconds(5);
    c.last_retry = std::chrono::milliseconds(20);
    c.ping_interval = std::chrono::milliseconds(20);
    c.handshake_timeout = std::chrono::milliseconds(300);
    c.dead_after = std::chrono::seconds(20);
    return c;
  }
  static std::shared_ptr<tls::Context> context_of(tls::Side side, const Authority::Files& files,
                                                  const Authority& ca) {
    tls::Settings settings;
    settings.certificate = files.certificate;
    settings.key = files.key;
    settings.ca = ca.ca();
    return tls::Context::open(side, settings).value();
  }
  Node& node(std::uint64_t self, const Authority::Files& files, const Authority& ca) {
    auto c = config(self);
    c.accept_tls = context_of(tls::Side::server, files, ca);
    c.dial_tls = context_of(tls::Side::client, files, ca);
    nodes.push_back(std::make_unique<Node>(context, c, true));
    return *nodes.back();
  }
  Node& plain_node(std::uint64_t self) {
    nodes.push_back(std::make_unique<Node>(context, config(self), false));
    return *nodes.back();
  }
  template <class Condition>
  [[nodiscard]] bool until(Condition&& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (context.run_one_until(limit) == 0) return false;
    }
    return true;
  }
  [[nodiscard]] bool logged(const std::string& words) {
    return until([&] { return log_.str().find(words) != std::string::npos; });
  }

  boost::asio::io_context context{1};
  std::uint64_t instances = 0;
  Authority authority{"cluster"};
  Authority stranger{"somebody else"};
  std::vector<std::unique_ptr<Node>> nodes;
  std::ostringstream log_;

 private:
  std::shared_ptr<spdlog::logger> former_;
};

TEST_F(PeersTls, FramesGoBothWays) {
  Node& a = node(1, authority.issue("a"), authority);
  Node& b = node(2, authority.issue("b"), authority);
  a.peers.set_peers({{NodeId(2), {b.url}}});
  b.peers.set_peers({{NodeId(1), {a.url}}});
  ASSERT_TRUE(until([&] { return a.inbox.connected && b.inbox.connected; }));
  const std::string large(3'000'000, 'l');
  a.peers.send(NodeId(2), KeyspaceId(5), Bytes::copy("small"));
  a.peers.send(NodeId(2), KeyspaceId(5), Bytes::copy(large));
  b.peers.send(NodeId(1), KeyspaceId(5), Bytes::copy("back"));
  a.peers.flush();
  b.peers.flush();
  ASSERT_TRUE(until([&] { return b.inbox.frames.size() == 2 && a.inbox.frames.size() == 1; }));
  EXPECT_EQ(b.inbox.frames[1], large);
}

TEST_F(PeersTls, ANodeOfAnotherAuthorityIsTurnedAwayAndBothSayWhy) {
  Node& a = node(1, authority.issue("a"), authority);
  Node& b = node(2, stranger.issue("b"), authority);
  b.peers.set_peers({{NodeId(1), {a.url}}});
  EXPECT_TRUE(logged("turned away 127.0.0.1:"));
  EXPECT_TRUE(logged("certificate is not signed by"));
  EXPECT_TRUE(logged("peer 1: not connected: the other side does not trust the certificate shown to it"));
  EXPECT_FALSE(a.inbox.connected);
}

TEST_F(PeersTls, AServerOfAnotherAuthorityIsNotTrusted) {
  Node& a = node(1, stranger.issue("a"), authority);
  Node& b = node(2, authority.issue("b"), authority);
  b.peers.set_peers({{NodeId(1), {a.url}}});
  EXPECT_TRUE(logged("peer 1: not connected: the other side's certificate is not signed by"));
  EXPECT_FALSE(b.inbox.connected);
}

TEST_F(PeersTls, APlainDiallerIsTurnedAwayAndToldWhatToDo) {
  Node& a = node(1, authority.issue("a"), authority);
  Node& b = plain_node(2);
  b.peers.set_peers({{NodeId(1), {"http://" + a.url.substr(8)}}});
  EXPECT_TRUE(logged("the other side speaks plain text where TLS is expected"));
  EXPECT_TRUE(logged("peer 1: not connected: closed by the other side without an answer; if it expects TLS"));
}

TEST_F(PeersTls, ATlsDiallerOfAPlainNodeIsToldWhatToDo) {
  Node& a = plain_node(1);
  Node& b = node(2, authority.issue("b"), authority);
  b.peers.set_peers({{NodeId(1), {"https://" + a.url.substr(7)}}});
  EXPECT_TRUE(logged("the other side speaks TLS where plain text is expected"));
  EXPECT_TRUE(logged("peer 1: not connected: the other side hung up during the TLS handshake"));
}

TEST_F(PeersTls, AnHttpsPeerNeedsCertificates) {
  Node& b = plain_node(2);
  b.peers.set_peers({{NodeId(1), {"https://127.0.0.1:1"}}});
  EXPECT_TRUE(logged("its URL is https, and this node has no certificates for peers"));
  Address address{.host = "127.0.0.1", .tls = true};
  EXPECT_THAT(b.peers.listen(address).error(), HasSubstr("https needs a certificate and key"));
}

TEST_F(PeersTls, HalfOpenHandshakesAreBoundedInNumberAndTime) {
  auto c = config(1);
  c.max_strangers = 4;
  c.accept_tls = context_of(tls::Side::server, authority.issue("a"), authority);
  nodes.push_back(std::make_unique<Node>(context, c, true));
  const auto port = parse_address(nodes.back()->url)->port;
  int closed = 0;
  std::vector<std::unique_ptr<tcp::socket>> silent;
  char sink = 0;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<tcp::socket>(context));
    silent.back()->connect({boost::asio::ip::address_v4::loopback(), port});
    if (i % 2 == 0) boost::asio::write(*silent.back(), boost::asio::buffer("\x16\x03\x01\x02\x00\x01", 6));
    silent.back()->async_read_some(boost::asio::buffer(&sink, 1),
                                   [&](auto error, auto) { closed += error ? 1 : 0; });
  }
  ASSERT_TRUE(until([&] { return closed == 16; }));  // those beyond the bound, at once
  ASSERT_TRUE(until([&] { return closed == 20; }));  // the others in time
  Node& b = node(2, authority.issue("b"), authority);
  b.peers.set_peers({{NodeId(1), {nodes.front()->url}}});
  EXPECT_TRUE(until([&] { return b.inbox.connected; }));
}

TEST_F(PeersTls, AJoiningNodeLearnsWhoItIs) {
  Node& a = node(1, authority.issue("a"), authority);
  a.inbox.known = {{NodeId(4), {"https://127.0.0.1:4444"}}};
  std::expected<Invite, std::string> invite;
  std::expected<Invite, std::string> without;
  bool asked = false;
  const auto dial = context_of(tls::Side::client, authority.issue("new"), authority);
  std::thread joiner([&] {
    const auto address = *parse_address(a.url);
    invite = ask_to_join(address, {.peer_urls = {"https://127.0.0.1:4444"}}, std::chrono::seconds(10), dial);
    without = ask_to_join(address, {.peer_urls = {"https://127.0.0.1:4444"}}, std::chrono::seconds(10));
    boost::asio::post(context, [&] { asked = true; });
  });
  EXPECT_TRUE(until([&] { return asked; }));
  joiner.join();
  ASSERT_TRUE(invite.has_value()) << invite.error();
  EXPECT_EQ(invite->you, NodeId(4));
  EXPECT_THAT(without.error(), HasSubstr("no certificates for peers"));
}

}  // namespace
}  // namespace quorate::net
