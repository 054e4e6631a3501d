#include "replica/state.h"

#include <gtest/gtest.h>

#include "core/codec.h"
#include "storage/memory_engine.h"

namespace quorate::replica {
namespace {

class CountingModel final : public models::Model {
 public:
  void open(storage::Engine&) override {}
  Bytes apply(const Bytes&, storage::Transaction&) override {
    return Bytes::adopt(std::to_string(++applied));
  }
  void committed(Index) override {}
  std::optional<Bytes> periodic(const models::ClockReading&) override { return std::nullopt; }
  Bytes query(const Bytes&) override { return {}; }
  Bytes digest() const override { return {}; }
  int applied = 0;
};

struct Opened {
  explicit Opened(storage::MemoryHome& home) {
    auto counting = std::make_unique<CountingModel>();
    model = counting.get();
    state = std::make_unique<State>(home, *home.open_live(), std::move(counting));
  }
  void apply(std::uint64_t number, std::uint64_t settled) {
    const Bytes payload = codec::encode(CommandBatch{{{{NodeId(1), 1, number}, settled, {}}}});
    const Entry entry{Epoch(1), state->applied().index.next(), EntryKind::payload, payload};
    ASSERT_TRUE(state->apply({entry}, NodeId(9), 1));
  }
  CountingModel* model = nullptr;
  std::unique_ptr<State> state;
};

// 1. Command 7 is executed. 2. It comes again, and tells that command 5, which nobody has seen, is settled by
// now. 3. One of two replicas starts again. 4. Command 5 comes late: neither may execute it.
TEST(State, WhatADuplicateToldOutlivesARestart) {
  storage::MemoryHome home;
  {
    Opened before(home);
    before.apply(7, 4);
    before.apply(7, 5);
    EXPECT_EQ(before.model->applied, 1);
    ASSERT_TRUE(before.state->engine().flush());
  }
  Opened after(home);
  after.apply(5, 4);
  EXPECT_EQ(after.model->applied, 0);
}

// 1. {1,2,3} becomes {1,2,4} through a joint membership. 2. A node that has the state only, by a snapshot or
// a restart, knows of it too. A node that was never a member was not removed.
TEST(State, RemembersWhoLeft) {
  storage::MemoryHome home;
  const auto members = [](std::vector<std::uint64_t> ids) {
    std::vector<Member> list;
    for (const auto id : ids) list.push_back({NodeId(id), Role::voter, {}});
    return list;
  };
  {
    Opened before(home);
    const auto change = [&](const Membership& to) {
      const Index next = before.state->applied().index.next();
      const Entry entry{Epoch(1), next, EntryKind::membership, codec::encode(to)};
      ASSERT_TRUE(before.state->apply({entry}, NodeId(9), 1));
    };
    change({members({1, 2, 3}), {}, {}});
    change({members({1, 2, 4}), {NodeId(1), NodeId(2), NodeId(3)}, members({3})});
    EXPECT_FALSE(before.state->removed(NodeId(3))) << "it may be needed until the change is through";
    change({members({1, 2, 4}), {}, {}});
    EXPECT_TRUE(before.state->removed(NodeId(3)));
    ASSERT_TRUE(before.state->engine().flush());
  }
  Opened after(home);
  EXPECT_TRUE(after.state->removed(NodeId(3)));
  EXPECT_FALSE(after.state->removed(NodeId(4)));
  EXPECT_FALSE(after.state->removed(NodeId(5)));
}

}  // namespace
}  // namespace quorate::replica
