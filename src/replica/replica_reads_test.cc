// The replica's reads.
#include "replica/scripted.h"

namespace quorate::replica::testing {
namespace {

TEST(Replica, AReadWaitsUntilItsIndexIsApplied) {
  Node node(1);
  node.lead();
  node.read();
  node.read();
  node.pump();
  const auto barriers = node.protocol->asked<rl::ReadBarrier>();
  ASSERT_THAT(barriers, SizeIs(1)) << "reads share a barrier";
  node.emit(rl::ReadReady{{barriers[0].id}, Index(1)});
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.commit(batch({command(3, 1, "x")}));
  EXPECT_THAT(node.outcomes, ElementsAre("read at 1", "read at 1"));
}

TEST(Replica, AReadOfAnIndexThatIsNeverAppliedIsGivenUp) {
  Node node(1);
  node.read();
  node.pump();
  node.emit(rl::ReadReady{{node.protocol->asked<rl::ReadBarrier>().at(0).id}, Index(3)});
  node.pass(4s);
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.pass(2s);
  EXPECT_THAT(node.outcomes, ElementsAre("no leader"));
}

// With one barrier under way as with many: the bound is on the reads, wherever they wait.
TEST(Replica, ReadsThatWaitInABarrierCount) {
  Node node(1, {.self = {}, .max_pending = 3});
  node.lead();
  const auto read = [&](int count) {
    node.outcomes.clear();
    for (int i = 0; i < count; ++i) node.read();
    node.pump();
    return std::ranges::count(node.outcomes, "too many requests");
  };
  const auto last_barrier = [&] { return node.protocol->asked<rl::ReadBarrier>().back().id; };
  EXPECT_EQ(read(3), 0);
  EXPECT_EQ(read(1), 1);
  node.emit(rl::Refused{last_barrier(), rl::Refusal::not_leader, NodeId(1)});
  node.pass(200ms);  // they are in another one now
  EXPECT_EQ(read(1), 1);
  node.emit(rl::ReadReady{{last_barrier()}, Index(1)});
  EXPECT_EQ(read(1), 1) << "they wait for their index";
  node.commit(batch({command(3, 1, "x")}));
  EXPECT_EQ(read(3), 0);
  node.pass(10s);  // nobody answers
  EXPECT_EQ(read(4), 1) << "who waited in vain does not count any more";
}

// Under overload every copy would be one more thing to do, and one more that another is refused for.
TEST(Replica, AnUnansweredBarrierIsNotAskedAgain) {
  Node node(1);
  node.lead();
  node.read();
  node.pump();
  node.pass(4s);
  const auto barriers = node.protocol->asked<rl::ReadBarrier>();
  ASSERT_THAT(barriers, SizeIs(1));
  node.emit(rl::ReadReady{{barriers[0].id}, Index(0)});
  EXPECT_THAT(node.outcomes, ElementsAre("read at 0")) << "an answer counts however long it takes";
  node.emit(rl::ReadReady{{barriers[0].id}, Index(0)});
  EXPECT_THAT(node.outcomes, SizeIs(1));
}

TEST(Replica, ARefusedBarrierIsAskedAnew) {
  Node node(1);
  node.follow(2);
  node.read();
  node.pump();
  const auto first = node.protocol->asked<rl::ReadBarrier>().at(0).id;
  node.emit(rl::Refused{first, rl::Refusal::not_leader, NodeId(3)});
  node.pass(500ms);
  const auto barriers = node.protocol->asked<rl::ReadBarrier>();
  ASSERT_THAT(barriers, SizeIs(2));
  EXPECT_NE(barriers[1].id, first) << "so that no answer to the first is taken for one to the second";
  node.emit(rl::ReadReady{{barriers[1].id}, Index(0)});
  EXPECT_THAT(node.outcomes, ElementsAre("read at 0"));
}

}  // namespace
}  // namespace quorate::replica::testing
