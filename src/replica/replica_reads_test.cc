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
