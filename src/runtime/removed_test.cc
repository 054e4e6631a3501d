// When a node takes itself for removed: it stops for good then.
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
  void step(Env&, In input) override {
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

Membership members(std::initializer_list<std::uint64_t> ids) {
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
      rl::MembershipChanged{members({1, 2}), Index(1), true},
      rl::Committed{{change(1, members({1, 2})), change(2, members({2}))}},
      rl::MembershipChanged{members({2}), Index(2), true},
  };
  const std::vector<rl::Event> rejoining{
      rl::LeaderChanged{NodeId(1), Epoch(1)},
      rl::Rejoining{},
      rl::MembershipChanged{members({2}), Index(), true},
  };
  c.keyspaces[0].protocol = [&](const rl::Settings&, const Recovered&) {
    return std::make_unique<Telling>(removed, std::vector<rl::Event>());
  };
  c.keyspaces[1].protocol = [&](const rl::Settings&, const Recovered&) {
    return std::make_unique<Telling>(rejoining, std::vector<rl::Event>{rl::Rejoining{.over = true}});
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

}  // namespace
}  // namespace quorate::runtime::test
