// Real sockets on loopback; every wait ends with an event, and is bounded only to fail instead of hanging.
#include "net/peers.h"

#include <map>
#include <set>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

#include "core/codec.h"
#include "net/join.h"

namespace quorate::net {
namespace {

using boost::asio::ip::tcp;

struct Recorder : PeersHandler {
  void received(NodeId from, KeyspaceId keyspace, Bytes frame) override {
    frames.emplace_back(from.value, keyspace.value, frame.str());
  }
  void connection_changed(NodeId peer, bool connected) override {
    changes.emplace_back(peer.value, connected);
  }
  std::vector<Known> members() const override { return known; }
  bool has_started(NodeId member) const override { return started.contains(member); }
  std::vector<KeyspaceId> removed_from(NodeId peer) const override {
    ++checks;
    const auto found = gone.find(peer);
    return found == gone.end() ? std::vector<KeyspaceId>() : found->second;
  }
  void told_removed(NodeId by, const std::vector<KeyspaceId>& from) override {
    told.emplace_back(by.value, from);
  }

  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::string>> frames;
  std::vector<std::pair<std::uint64_t, bool>> changes;
  std::vector<Known> known;
  std::set<NodeId> started;
  std::map<NodeId, std::vector<KeyspaceId>> gone;
  mutable int checks = 0;
  std::vector<std::pair<std::uint64_t, std::vector<KeyspaceId>>> told;
};

struct PeersTest : testing::Test {
  struct Node {
    Node(boost::asio::io_context& context, const PeersConfig& config) : peers(context, config, handler) {
      port = peers.listen({"127.0.0.1", 0}).value();
    }
    Recorder handler;
    Peers peers;
    std::uint16_t port = 0;
  };

  PeersConfig config(std::uint64_t self, std::uint64_t cluster = 7) {
    PeersConfig c;
    c.self = NodeId(self);
    c.cluster = ClusterId(cluster);
    c.instance = ++instances;
    c.first_retry = std::chrono::milliseconds(5);
    c.last_retry = std::chrono::milliseconds(20);
    return c;
  }
  Node& node(std::uint64_t self, std::uint64_t cluster = 7) {
    nodes.push_back(std::make_unique<Node>(context, config(self, cluster)));
    return *nodes.back();
  }
  static std::string url(const Node& node) { return "http://127.0.0.1:" + std::to_string(node.port); }

  template <class Condition>
  [[nodiscard]] bool until(Condition&& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (context.run_one_until(limit) == 0) return false;
    }
    return true;
  }

  tcp::socket raw(const Node& node) {
    tcp::socket socket(context);
    socket.connect({boost::asio::ip::address_v4::loopback(), node.port});
    return socket;
  }
  // Sends `text` to the node and gives all that it answers until it closes.
  std::string exchange(const Node& node, const std::string& text) {
    auto socket = raw(node);
    boost::asio::write(socket, boost::asio::buffer(text));
    std::string answer;
    bool closed = false;
    boost::asio::async_read(socket, boost::asio::dynamic_buffer(answer), [&](auto, auto) { closed = true; });
    EXPECT_TRUE(until([&] { return closed; }));
    return answer;
  }
  static std::string spoken(const Control& message) {
    const Bytes payload = codec::encode(message);
    std::string out(magic);
    put_header(out, KeyspaceId(), payload.view());
    return out + payload.str();
  }
  template <class T>
  static T said(const std::string& answer) {
    auto control =
        codec::decode<Control>(Bytes::copy(std::string_view(answer).substr(magic.size() + header_bytes)));
    return control && std::holds_alternative<T>(*control) ? std::get<T>(*control) : T{};
  }
  static Refuse refusal_in(const std::string& answer) { return said<Refuse>(answer); }

  boost::asio::io_context context{1};
  std::uint64_t instances = 0;
  std::vector<std::unique_ptr<Node>> nodes;
};

TEST_F(PeersTest, FramesGoBothWays) {
  Node& a = node(1);
  Node& b = node(2);
  a.peers.set_peers({{NodeId(2), {url(b)}}});
  b.peers.set_peers({{NodeId(1), {url(a)}}});
  ASSERT_TRUE(until([&] { return !a.handler.changes.empty() && !b.handler.changes.empty(); }));
  const std::string large(3'000'000, 'l');
  a.peers.send(NodeId(2), KeyspaceId(5), Bytes::copy("to b"));
  a.peers.send(NodeId(2), KeyspaceId(6), Bytes::copy(large));
  b.peers.send(NodeId(1), KeyspaceId(5), Bytes::copy("to a"));
  a.peers.flush();
  b.peers.flush();
  ASSERT_TRUE(until([&] { return b.handler.frames.size() == 2 && a.handler.frames.size() == 1; }));
  EXPECT_EQ(b.handler.frames[0], std::tuple(1U, 5U, "to b"));
  EXPECT_EQ(b.handler.frames[1], std::tuple(1U, 6U, large));
  EXPECT_EQ(a.handler.frames[0], std::tuple(2U, 5U, "to a"));
}

TEST_F(PeersTest, ANodeThatDoesNotKnowTheOtherAnswersOnItsConnection) {
  Node& known = node(1);
  Node& unknown = node(2);
  unknown.peers.set_peers({{NodeId(1), {url(known)}}});  // a server answers non-members (Raft thesis §4.2.3)
  ASSERT_TRUE(until([&] { return !known.handler.changes.empty(); }));
  known.peers.send(NodeId(2), KeyspaceId(5), Bytes::copy("answer"));
  known.peers.flush();
  ASSERT_TRUE(until([&] { return !unknown.handler.frames.empty(); }));
}

TEST_F(PeersTest, ReconnectsToANodeThatCameBack) {
  Node& a = node(1);
  std::string address;
  {
    Node& b = node(2);
    address = url(b);
    a.peers.set_peers({{NodeId(2), {address}}});
    ASSERT_TRUE(until([&] { return a.handler.changes.size() == 1; }));
    nodes.pop_back();
  }
  tcp::acceptor held(context, tcp::v4());  // does not listen, and keeps others from doing so
  held.set_option(tcp::acceptor::reuse_address(true));
  held.bind({boost::asio::ip::address_v4::loopback(), parse_address(address)->port});
  ASSERT_TRUE(until([&] { return a.handler.changes.size() == 2; }));
  EXPECT_EQ(a.handler.changes.back(), std::pair(2UL, false));
  Recorder handler;
  Peers again(context, config(2), handler);
  ASSERT_TRUE(again.listen(*parse_address(address)).has_value());
  ASSERT_TRUE(until([&] { return a.handler.changes.size() == 3; }));
  EXPECT_EQ(a.handler.changes.back(), std::pair(2UL, true));
}

TEST_F(PeersTest, AnotherClustersNodeIsRefused) {
  Node& a = node(1);
  const auto answer = exchange(a, spoken(Hello{.cluster = ClusterId(8), .from = NodeId(2), .to = NodeId(1)}));
  EXPECT_EQ(refusal_in(answer).reason, Refusal::cluster);
  EXPECT_THAT(refusal_in(answer).words, testing::HasSubstr("cluster id 8 instead of this node's 7"));
  EXPECT_TRUE(a.handler.changes.empty());
}

TEST_F(PeersTest, ANodeReachedUnderAWrongIdRefuses) {
  Node& a = node(1);
  const auto answer = exchange(a, spoken(Hello{.cluster = ClusterId(7), .from = NodeId(2), .to = NodeId(3)}));
  EXPECT_EQ(refusal_in(answer).reason, Refusal::wrong_node);
}

TEST_F(PeersTest, ANodeWithTheAcceptorsOwnIdIsRefused) {
  Node& a = node(1);
  const auto answer = exchange(a, spoken(Hello{.cluster = ClusterId(7), .from = NodeId(1), .to = NodeId(1)}));
  EXPECT_EQ(refusal_in(answer).reason, Refusal::duplicate);
}

TEST_F(PeersTest, ASecondProcessWithALiveNodesIdIsRefused) {
  Node& a = node(1);
  Node& b = node(2);
  b.peers.set_peers({{NodeId(1), {url(a)}}});
  ASSERT_TRUE(until([&] { return !a.handler.changes.empty(); }));
  const auto answer = exchange(
      a, spoken(Hello{.cluster = ClusterId(7), .from = NodeId(2), .to = NodeId(1), .instance = 999}));
  EXPECT_EQ(refusal_in(answer).reason, Refusal::duplicate);
  EXPECT_EQ(a.handler.changes.size(), 1U);
}

// It is answered all the same: of other keyspaces it may be a member.
TEST_F(PeersTest, ARemovedNodeIsToldWhatRemovedIt) {
  Node& a = node(1);
  Node& b = node(2);
  a.handler.gone[NodeId(2)] = {KeyspaceId(5), KeyspaceId(8)};
  b.peers.set_peers({{NodeId(1), {url(a)}}});
  ASSERT_TRUE(until([&] { return !b.handler.told.empty(); }));
  EXPECT_EQ(b.handler.told.front(), std::pair(1UL, a.handler.gone[NodeId(2)]));
  a.peers.send(NodeId(2), KeyspaceId(6), Bytes::copy("of another keyspace"));
  a.peers.flush();
  EXPECT_TRUE(until([&] { return !b.handler.frames.empty(); }));
}

// One of an earlier version takes a node for removed when it knows it in none of its own keyspaces.
TEST_F(PeersTest, ARefusalEndsNobody) {
  Node& b = node(2);
  tcp::acceptor door(context, {boost::asio::ip::address_v4::loopback(), 0});
  int refused = 0;
  std::function<void()> refuse = [&] {
    door.async_accept([&](boost::system::error_code error, tcp::socket socket) {
      if (error) return;
      ++refused;
      boost::asio::write(socket, boost::asio::buffer(spoken(Refuse{Refusal::removed, "removed"})));
      refuse();
    });
  };
  refuse();
  b.peers.set_peers({{NodeId(1), {"http://127.0.0.1:" + std::to_string(door.local_endpoint().port())}}});
  ASSERT_TRUE(until([&] { return refused == 3; })) << "it tries again";
  EXPECT_THAT(b.handler.told, testing::IsEmpty());
}

TEST_F(PeersTest, ANodeThatIsOnlyNoLongerNamedIsAnswered) {
  Node& a = node(1);
  Node& b = node(2);
  a.peers.set_peers({{NodeId(2), {url(b)}}});
  a.peers.set_peers({});
  b.peers.set_peers({{NodeId(1), {url(a)}}});
  ASSERT_TRUE(until([&] { return !b.handler.changes.empty(); }));
  EXPECT_EQ(b.handler.changes.front(), std::pair(std::uint64_t{1}, true));
  EXPECT_THAT(b.handler.told, testing::IsEmpty());
}

// Also one that was connected when it was removed, and missed it.
TEST_F(PeersTest, AConnectedNodeIsToldOfItsRemoval) {
  Node& a = node(1);
  Node& b = node(2);
  a.peers.set_peers({{NodeId(2), {url(b)}}});
  b.peers.set_peers({{NodeId(1), {url(a)}}});
  ASSERT_TRUE(until([&] { return !a.handler.changes.empty() && !b.handler.changes.empty(); }));
  a.handler.gone[NodeId(2)] = {KeyspaceId(5)};
  ASSERT_TRUE(until([&] { return b.handler.told.size() == 1; }));
  a.peers.set_peers({});
  a.handler.gone[NodeId(2)].push_back(KeyspaceId(8));
  ASSERT_TRUE(until([&] { return b.handler.told.size() == 2; }));
  EXPECT_EQ(b.handler.told.back(), std::pair(1UL, a.handler.gone[NodeId(2)]));
  EXPECT_EQ(b.handler.changes.size(), 1U) << "on the connection that it has";
}

// Both stood still: that nothing came meanwhile says nothing about the other.
TEST_F(PeersTest, APauseOfBothClosesNoConnection) {
  auto brief = [this](std::uint64_t self) -> Node& {
    auto c = config(self);
    c.ping_interval = std::chrono::milliseconds(20);
    c.dead_after = std::chrono::milliseconds(200);
    nodes.push_back(std::make_unique<Node>(context, c));
    return *nodes.back();
  };
  Node& a = brief(1);
  Node& b = brief(2);
  a.peers.set_peers({{NodeId(2), {url(b)}}});
  b.peers.set_peers({{NodeId(1), {url(a)}}});
  ASSERT_TRUE(until([&] { return !a.handler.changes.empty() && !b.handler.changes.empty(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  bool looked = false;
  boost::asio::steady_timer later(context, std::chrono::milliseconds(100));
  later.async_wait([&](auto) { looked = true; });
  ASSERT_TRUE(until([&] { return looked; }));
  EXPECT_THAT(a.handler.changes, testing::ElementsAre(std::pair(2U, true)));
  EXPECT_THAT(b.handler.changes, testing::ElementsAre(std::pair(1U, true)));
}

// A member that takes nothing any more, while much is queued for it, and that is parted from.
struct PartingTest : PeersTest {
  void part_from_a_member(Node& a) {
    tcp::acceptor door(context, {boost::asio::ip::address_v4::loopback(), 0});
    door.async_accept(former, [&](auto) {
      boost::asio::write(former,
                         boost::asio::buffer(spoken(Welcome{.cluster = ClusterId(7), .from = NodeId(2)})));
    });
    a.peers.set_peers({{NodeId(2), {"http://127.0.0.1:" + std::to_string(door.local_endpoint().port())}}});
    ASSERT_TRUE(until([&] { return !a.handler.changes.empty(); }));
    for (int i = 0; i < 48; ++i) a.peers.send(NodeId(2), KeyspaceId(5), frame);
    a.peers.flush();
    a.peers.set_peers({});
  }
  const Bytes frame = Bytes::adopt(std::string(std::size_t{1} << 20U, 'x'));
  tcp::socket former{context};
};

// Its machine answers for it: the connection alone would last for ever.
TEST_F(PartingTest, AFormerMemberThatTakesNothingHoldsNoQueue) {
  auto brief = config(1);
  brief.ping_interval = std::chrono::milliseconds(1);
  brief.last_words = std::chrono::milliseconds(1);
  nodes.push_back(std::make_unique<Node>(context, brief));
  Node& a = *nodes.back();
  part_from_a_member(a);
  // A guest's connection is looked at with each look at those that part.
  Node& guest = node(3);
  guest.peers.set_peers({{NodeId(1), {url(a)}}});
  ASSERT_TRUE(until([&] { return a.handler.changes.size() == 3; }));
  const auto upto = a.handler.checks + 20;
  ASSERT_TRUE(until([&] { return a.handler.checks >= upto; }));

  std::string taken;
  bool over = false;
  boost::asio::async_read(former, boost::asio::dynamic_buffer(taken), [&](auto, auto) { over = true; });
  EXPECT_TRUE(until([&] { return over; }));
  EXPECT_LT(taken.size(), 40 * frame.size()) << "what its machine had taken, and no more";
}

// Each holds a descriptor and a queue.
TEST_F(PartingTest, ConnectionsThatAreBeingClosedCountAmongStrangers) {
  auto one = config(1);
  one.max_strangers = 1;
  one.ping_interval = std::chrono::milliseconds(1);
  one.last_words = std::chrono::hours(1);
  nodes.push_back(std::make_unique<Node>(context, one));
  Node& a = *nodes.back();
  part_from_a_member(a);
  const auto hello = spoken(Hello{.cluster = ClusterId(8), .from = NodeId(3), .to = NodeId(1)});
  EXPECT_EQ(exchange(a, hello), "");
  former.close();
  std::string answer;
  ASSERT_TRUE(until([&] { return !(answer = exchange(a, hello)).empty(); }));
  EXPECT_EQ(refusal_in(answer).reason, Refusal::cluster);
}

// Whoever knows the cluster's id could otherwise fill the node with made-up members.
TEST_F(PeersTest, NodesThatAreNoMembersAreFew) {
  auto few = config(1);
  few.max_guests = 2;
  nodes.push_back(std::make_unique<Node>(context, few));
  Node& a = *nodes.back();
  const auto hello = [](std::uint64_t from) {
    return spoken(Hello{.cluster = ClusterId(7), .from = NodeId(from), .to = NodeId(1)});
  };
  {
    auto second = raw(a);
    auto third = raw(a);
    boost::asio::write(second, boost::asio::buffer(hello(12)));
    boost::asio::write(third, boost::asio::buffer(hello(13)));
    ASSERT_TRUE(until([&] { return a.peers.status().size() == 2; }));
    EXPECT_EQ(refusal_in(exchange(a, hello(14))).reason, Refusal::busy);
    Node& member = node(2);
    a.peers.set_peers({{NodeId(2), {url(member)}}});
    member.peers.set_peers({{NodeId(1), {url(a)}}});
    EXPECT_TRUE(until([&] { return !member.handler.changes.empty(); })) << "members are always let in";
  }
  ASSERT_TRUE(until([&] { return a.peers.status().size() == 1; }));
  auto fourth = raw(a);
  boost::asio::write(fourth, boost::asio::buffer(hello(14)));
  EXPECT_TRUE(until([&] { return a.peers.status().size() == 2; }));
}

TEST_F(PeersTest, AnotherVersionIsRefused) {
  Node& a = node(1);
  const auto answer =
      exchange(a, spoken(Hello{.version = 99, .cluster = ClusterId(7), .from = NodeId(2), .to = NodeId(1)}));
  EXPECT_EQ(refusal_in(answer).reason, Refusal::version);
}

TEST_F(PeersTest, GarbageEndsTheConnectionAndNothingElse) {
  Node& a = node(1);
  EXPECT_EQ(exchange(a, "GET /metrics HTTP/1.1\r\n\r\n"), "");
  std::string cut = spoken(Hello{.cluster = ClusterId(7), .from = NodeId(2), .to = NodeId(1)});
  cut.back() = static_cast<char>(cut.back() ^ 1);  // the checksum no longer holds
  EXPECT_EQ(exchange(a, cut), "");
  std::string early(magic);
  put_header(early, KeyspaceId(5), "x");
  EXPECT_EQ(exchange(a, early + "x"), "");  // a message before an introduction
  Node& b = node(2);
  b.peers.set_peers({{NodeId(1), {url(a)}}});
  EXPECT_TRUE(until([&] { return !a.handler.changes.empty(); }));
}

TEST_F(PeersTest, AFullQueueDropsAndCounts) {
  auto small = config(1);
  small.max_queued_bytes = 1000;
  nodes.push_back(std::make_unique<Node>(context, small));
  Node& a = *nodes.back();
  Node& b = node(2);
  a.peers.set_peers({{NodeId(2), {url(b)}}});
  ASSERT_TRUE(until([&] { return !a.handler.changes.empty(); }));
  for (int i = 0; i < 10; ++i) a.peers.send(NodeId(2), KeyspaceId(5), Bytes::copy(std::string(300, 'x')));
  a.peers.flush();
  ASSERT_TRUE(until([&] { return b.handler.frames.size() == 3; }));
  EXPECT_EQ(a.peers.status().at(0).traffic.dropped_frames, 7U);
}

TEST_F(PeersTest, AJoiningNodeLearnsWhoItIs) {
  Node& a = node(1);
  a.handler.known = {{NodeId(1), {url(a)}}, {NodeId(4), {"http://127.0.0.1:4444/"}}};
  std::expected<Invite, std::string> invite;
  std::expected<Invite, std::string> stranger;
  bool asked = false;
  std::thread joiner([&] {
    invite = ask_to_join({"127.0.0.1", a.port}, {.peer_urls = {"http://127.0.0.1:4444"}},
                         std::chrono::seconds(10));
    stranger = ask_to_join({"127.0.0.1", a.port}, {.peer_urls = {"http://127.0.0.1:5555"}},
                           std::chrono::seconds(10));
    boost::asio::post(context, [&] { asked = true; });
  });
  EXPECT_TRUE(until([&] { return asked; }));
  joiner.join();
  ASSERT_TRUE(invite.has_value()) << invite.error();
  EXPECT_EQ(invite->you, NodeId(4));
  EXPECT_EQ(invite->cluster, ClusterId(7));
  EXPECT_EQ(invite->members.size(), 2U);
  EXPECT_FALSE(invite->started);
  ASSERT_FALSE(stranger.has_value());
  EXPECT_THAT(stranger.error(), testing::HasSubstr("add it first"));
}

TEST_F(PeersTest, WhoTookPartBeforeIsToldSo) {
  Node& a = node(1);
  a.handler.known = {{NodeId(4), {"http://127.0.0.1:4444/"}}};
  a.handler.started = {NodeId(4)};
  const auto answer = exchange(a, spoken(Hello{.peer_urls = {"http://127.0.0.1:4444"}}));
  const auto invite = said<Invite>(answer);
  EXPECT_EQ(invite.you, NodeId(4));
  EXPECT_TRUE(invite.started);
}

// One was replaced in one keyspace, and not yet in another: as the former it would be there without what it
// has acknowledged.
TEST_F(PeersTest, AJoiningNodeThatIsTwoIsNotInvited) {
  Node& a = node(1);
  const std::vector<std::string> urls{"http://127.0.0.1:4444"};
  a.handler.known = {{NodeId(4), urls}, {NodeId(5), urls}, {NodeId(4), urls}};
  auto answer = exchange(a, spoken(Hello{.peer_urls = urls}));
  EXPECT_EQ(refusal_in(answer).reason, Refusal::not_member);
  EXPECT_THAT(refusal_in(answer).words, testing::HasSubstr("the nodes 4 and 5"));
}

}  // namespace
}  // namespace quorate::net
