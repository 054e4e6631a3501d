// When a node takes itself for removed: it stops for good then.
#include <functional>

#include <boost/asio/steady_timer.hpp>

#include "core/codec.h"
#include "runtime/node_testing.h"

namespace quorate::runtime::test {
namespace {

// Tells its host some things at the start, and others when anything is proposed.
class Telling final : public rl::Protocol {
 public:
  Telling(std::vector<rl::Event> at_start, std::vector<rl::Event> later)
      : at_start_(std::move(at_start)), later_(std::move(later)) {}
  void start(Env&) override { tell(at_start_); }
  void step(Env&, In&& input) override {
    const auto* ask = std::get_if<Ask<rl::Request>>(&input);
    if (ask != nullptr && std::holds_alternative<rl::Propose>(ask->request)) tell(later_);
  }
  std::optional<std::string> check_invariants() const override { return std::nullopt; }
  std::string describe() const override { return "telling"; }
  std::string explain(const Bytes&) const override { return "{}"; }

 private:
  void tell(const std::vector<rl::Event>& events) {
    for (const auto& event : events) effects_.push_back(Emit<rl::Event>{event, {}});
  }
  std::vector<rl::Event> at_start_;
  std::vector<rl::Event> later_;
};

Membership members_of(std::initializer_list<std::uint64_t> ids) {
  Membership membership;
  for (const auto id : ids) membership.members.push_back({NodeId(id), Role::voter, {}});
  return membership;
}

Entry change(std::uint64_t index, const Membership& to) {
  return {Epoch(1), Index(index), EntryKind::membership, codec::encode(to)};
}

// One keyspace removed it. The other is being brought its state, and is at a configuration from before it was
// a member there.
TEST_F(NodeTest, IsNotRemovedWhileAKeyspaceCanNotTell) {
  auto c = config();
  c.tend_interval = std::chrono::milliseconds(1);
  const std::vector<rl::Event> removed{
      rl::MembershipChanged{members_of({1, 2}), Index(1), true},
      rl::Committed{{change(1, members_of({1, 2})), change(2, members_of({2}))}},
      rl::MembershipChanged{members_of({2}), Index(2), true},
  };
  const std::vector<rl::Event> rejoining{
      rl::LeaderChanged{NodeId(1), Epoch(1)},
      rl::Rejoining{},
      rl::MembershipChanged{members_of({2}), Index(), true},
  };
  const std::vector<rl::Event> over_and_removed{
      rl::Rejoining{.over = true},
      rl::MembershipChanged{members_of({1, 2}), Index(1), true},
      rl::Committed{{change(1, members_of({1, 2})), change(2, members_of({2}))}},
      rl::MembershipChanged{members_of({2}), Index(2), true},
  };
  c.keyspaces[0].protocol = [&](const rl::Settings&, const Recovered&) {
    return std::make_unique<Telling>(removed, std::vector<rl::Event>());
  };
  c.keyspaces[1].protocol = [&](const rl::Settings&, const Recovered&) {
    return std::make_unique<Telling>(rejoining, over_and_removed);
  };
  bool over = false;
  const auto ended = with_node(std::move(c), [&](Node& node) {
    node.on_removed([&] {
      EXPECT_TRUE(over);
      node.stop();
    });
    // Some looks at who is removed later.
    const auto timer =
        std::make_shared<boost::asio::steady_timer>(node.context(), std::chrono::milliseconds(20));
    timer->async_wait([&, timer](boost::system::error_code) {
      over = true;
      node.keyspace("right")->propose(Bytes::copy("x"), [](const replica::Outcome<Bytes>&) {});
    });
  });
  EXPECT_TRUE(ended) << ended.error();
}

// Node 2, which knows what removed node 1.
struct Witness : net::PeersHandler {
  explicit Witness(boost::asio::io_context& context) : peers(context, links(), *this) {
    port = peers.listen({"127.0.0.1", 0}).value();
  }
  static net::PeersConfig links() {
    net::PeersConfig c;
    c.self = NodeId(2);
    c.cluster = ClusterId(9);
    c.ping_interval = std::chrono::milliseconds(1);
    return c;
  }
  // What a keyspace that has both as members says of them.
  [[nodiscard]] rl::Event membership() const {
    auto both = members_of({1, 2});
    both.members[1].context =
        codec::encode(NodeInfo{"witness", {"http://127.0.0.1:" + std::to_string(port)}, {}});
    return rl::MembershipChanged{both, Index(), true};
  }
  void received(NodeId, KeyspaceId, Bytes) override {}
  void connection_changed(NodeId, bool connected) override {
    if (!connected && lost) lost();
  }
  std::vector<net::Known> members() const override { return {}; }
  std::vector<KeyspaceId> removed_from(NodeId) const override { return gone; }

  std::vector<KeyspaceId> gone;
  std::function<void()> lost;
  net::Peers peers;
  std::uint16_t port = 0;
};

struct ToldTest : NodeTest {
  std::unique_ptr<Node> open(const std::vector<rl::Event>& left, const std::vector<rl::Event>& right) {
    auto c = config();
    c.identity.initial.clear();  // it joined
    c.keyspaces[0].protocol = [&](const rl::Settings&, const Recovered&) {
      return std::make_unique<Telling>(left, std::vector<rl::Event>());
    };
    c.keyspaces[1].protocol = [&](const rl::Settings&, const Recovered&) {
      return std::make_unique<Telling>(right, std::vector<rl::Event>());
    };
    auto node = Node::open(context, std::move(*DataDirectory::open(path)), std::move(c));
    EXPECT_TRUE(node) << node.error();
    return std::move(*node);
  }

  boost::asio::io_context context{1};
  Witness witness{context};
};

TEST_F(ToldTest, IsRemovedWhenEachKeyspaceHasRemovedIt) {
  witness.gone = {keyspace_id("left")};
  auto node = open({witness.membership()}, {witness.membership()});
  bool both = false;
  node->on_removed([&] {
    EXPECT_TRUE(both);
    node->stop();
  });
  boost::asio::steady_timer timer(context);
  const std::function<void(boost::system::error_code)> look = [&](boost::system::error_code) {
    if (node->peers().empty() || !node->peers()[0].connected) {  // hence told of the first
      timer.expires_after(std::chrono::milliseconds(1));
      return timer.async_wait(look);
    }
    both = true;
    witness.gone.push_back(keyspace_id("right"));
  };
  look({});
  const auto ended = node->run();
  EXPECT_TRUE(ended) << ended.error();
  node.reset();
  EXPECT_TRUE(DataDirectory::open(path)->identity()->removed);
}

// It may be a member of the other by now, and will hear of it.
TEST_F(ToldTest, GoesOnWhileItKnowsNothingOfAKeyspace) {
  witness.gone = {keyspace_id("left")};
  auto node = open({witness.membership()}, {});
  node->on_removed([&] {
    ADD_FAILURE() << "absence of knowledge taken for proof";
    node->stop();
  });
  witness.lost = [&] { node->stop(); };  // it has no more to do with those of the first
  const auto ended = node->run();
  EXPECT_TRUE(ended) << ended.error();
  EXPECT_FALSE(node->removed());
  node.reset();
  EXPECT_FALSE(DataDirectory::open(path)->identity()->removed);
}

}  // namespace
}  // namespace quorate::runtime::test
