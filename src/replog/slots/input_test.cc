// What no correct peer or disk gives, and how traces tell what one does.
#include "replog/slots/test_world.h"

namespace quorate::slots {
namespace {

TEST(BadInput, IsDropped) {
  auto world = three();
  lead(world);
  const std::uint64_t huge = ~std::uint64_t{0};
  const std::vector<Message> messages{
      InSlot{Index(0), Bytes::literal("x")},
      InSlot{Index(huge), Bytes::literal("x")},
      InSlot{Index(5), Bytes::literal("not a message")},
      Heartbeat{huge, true, {n1}, Index(huge), Index(huge)},
      Heartbeat{huge, true, {n1}, Index(3), Index(huge)},
      CatchUp{Index(0)},
      CatchUp{Index(huge)},
      Values{Index(0), {Value{}}, Index(1), {}},
      Values{Index(huge), {Value{}}, Index(huge), {}},
      Values{Index(1), {}, Index(huge), {{Index(0), Index(1), {}}}},
      ReadAnswer{1, 1, Index(huge)},
      TakeOver{huge},
  };
  const auto before = world.cluster.protocol(n1).describe();
  for (const auto& meta : {SnapshotMeta{Index(huge), Epoch(1), membership_of({1, 2, 3}), {}},
                           SnapshotMeta{Index(99), Epoch(1), membership_of({0, 1, 2}), {}},
                           SnapshotMeta{Index(99), Epoch(1), {}, {}}}) {
    world.cluster.ask(n1, rl::SnapshotReceived{n2, Epoch(1), meta});
    EXPECT_EQ(world.cluster.protocol(n1).describe(), before);
  }
  for (const auto& message : messages) {
    world.cluster.inject(n2, n1, codec::encode(message));
    world.cluster.inject(NodeId(77), n1, codec::encode(message));
  }
  world.cluster.inject(n2, n1, Bytes::literal("\xff\xff\xff"));
  world.cluster.run_for(1s);
  EXPECT_EQ(world.cluster.broken, std::nullopt);
  world.propose(world.nodes[n1].leader, "still here");
  ASSERT_TRUE(world.settle(ids(3)));
}

TEST(BadInput, ADamagedRecordHaltsTheNode) {
  int halts = 0;
  for (const auto* key : {"incarnation", "configurations", "slot/1/promised", "slot/1/accepted"}) {
    Recovered recovered;
    recovered.records[key] = Bytes::literal("\xff\xff");
    auto node = make_slot_log(
        {.self = n1, .initial = membership_of({1, 2, 3})}, std::move(recovered),
        [](const agreement::Settings& s, Recovered r) { return paxos::make_paxos(s, std::move(r)); });
    Rng rng(1);
    Env env{Instant(1s), rng};
    node->start(env);
    for (const auto& effect : node->take()) {
      const auto* emit = std::get_if<Emit<rl::Event>>(&effect);
      halts += emit && std::holds_alternative<rl::Halt>(emit->event) ? 1 : 0;
    }
  }
  EXPECT_EQ(halts, 4);
}

TEST(Traces, TellTheAgreementsMessages) {
  auto world = three();
  lead(world);
  std::string told;
  world.cluster.on_message = [&](NodeId, NodeId, const Bytes& m) {
    told += world.cluster.protocol(n1).explain(m);
  };
  world.propose(n1, "p");
  ASSERT_TRUE(world.settle(ids(3)));
  EXPECT_THAT(told, testing::HasSubstr("\"type\":\"InSlot\",\"slot\":"));
  EXPECT_THAT(told, testing::HasSubstr("\"type\":\"Prepare\",\"n\":"));
}

}  // namespace
}  // namespace quorate::slots
