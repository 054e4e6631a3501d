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

TEST(Replica, AnUnansweredBarrierIsAskedAgain) {
  Node node(1);
  node.lead();
  node.read();
  node.pump();
  node.pass(500ms);
  const auto barriers = node.protocol->asked<rl::ReadBarrier>();
  ASSERT_GE(barriers.size(), 2U);
  node.emit(rl::ReadReady{{barriers.back().id}, Index(0)});
  EXPECT_THAT(node.outcomes, ElementsAre("read at 0"));
  node.emit(rl::ReadReady{{barriers.back().id}, Index(0)});
  EXPECT_THAT(node.outcomes, SizeIs(1));
}

TEST(Replica, AnswersCountHoweverLongTheyTake) {
  Node node(1);
  node.lead();
  node.read();
  node.pump();
  std::size_t answered = 0;
  for (int i = 0; i < 8; ++i) {  // each is answered half a second after it was asked
    const auto asked = node.protocol->asked<rl::ReadBarrier>();
    node.pass(500ms);
    for (; answered < asked.size(); ++answered) node.emit(rl::ReadReady{{asked[answered].id}, Index(0)});
  }
  EXPECT_THAT(node.outcomes, ElementsAre("read at 0"));
}

}  // namespace
}  // namespace quorate::replica::testing
