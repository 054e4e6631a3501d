// The replica's commands, from a client to the log.
#include "replica/scripted.h"

namespace quorate::replica::testing {
namespace {

TEST(Replica, CommandsBetweenTwoPumpsShareAnEntry) {
  Node node(1);
  node.lead();
  node.propose("a");
  node.propose("b");
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), IsEmpty());
  node.pump();
  ASSERT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1));
  node.commit_proposed();
  EXPECT_THAT(node.outcomes, ElementsAre("1", "2"));
  EXPECT_EQ(node.model->text(), "ab");
}

TEST(Replica, AFollowerForwardsAndSeesTheOutcomeInItsOwnLog) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto forwards = node.host.take<Forward>();
  ASSERT_THAT(forwards, SizeIs(1));
  EXPECT_EQ(forwards[0].first, NodeId(1));
  node.commit(codec::encode(CommandBatch{forwards[0].second.commands}));
  EXPECT_THAT(node.outcomes, ElementsAre("1"));
}

TEST(Replica, ALostForwardIsSentAgainAndADuplicateExecutedOnce) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto first = node.host.take<Forward>();
  node.pass(1s);
  const auto second = node.host.take<Forward>();
  ASSERT_THAT(second, ::testing::Not(IsEmpty()));
  node.commit(codec::encode(CommandBatch{second[0].second.commands}));
  node.commit(codec::encode(CommandBatch{first[0].second.commands}));
  EXPECT_THAT(node.outcomes, ElementsAre("1"));
  EXPECT_EQ(node.model->text(), "x");
}

TEST(Replica, ANewLeaderGetsEverythingWithoutAnOutcome) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  (void)node.host.take<Forward>();
  node.follow(3, 2);
  node.pump();
  const auto forwards = node.host.take<Forward>();
  ASSERT_THAT(forwards, SizeIs(1));
  EXPECT_EQ(forwards[0].first, NodeId(3));
}

TEST(Replica, WithoutALeaderNothingHappenedAndThatIsSaid) {
  Node node(2);
  node.propose("x");
  node.pass(10s);
  EXPECT_THAT(node.outcomes, ElementsAre("no leader"));
}

TEST(Replica, WhatWasSentMayHaveHappened) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto forwards = node.host.take<Forward>();
  node.pass(10s);
  EXPECT_THAT(node.outcomes, ElementsAre("timed out, outcome unknown"));
  // Given up means given up: a later command says so, and the late one is not executed any more.
  node.propose("y");
  node.pump();
  const auto later = node.host.take<Forward>();
  node.commit(codec::encode(CommandBatch{later.back().second.commands}));
  node.commit(codec::encode(CommandBatch{forwards[0].second.commands}));
  EXPECT_EQ(node.model->text(), "y");
}

TEST(Replica, TooMuchPendingIsRefusedAtOnce) {
  Node node(1, {.self = {}, .max_pending = 2});
  node.propose("a");
  node.propose("b");
  node.propose("c");
  EXPECT_THAT(node.outcomes, ElementsAre("too many requests"));
}

TEST(Replica, ARefusedBatchWaitsForTheNextTick) {
  Node node(1);
  node.lead();
  node.protocol->refuse_with = rl::Refusal::busy;
  node.propose("a");
  node.pump();
  node.pump();
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1)) << "no hammering";
  node.protocol->refuse_with.reset();
  node.pass(200ms);
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(2));
  node.commit_proposed();
  EXPECT_THAT(node.outcomes, ElementsAre("1"));
}

TEST(Replica, ARefusedBatchOfOthersDoesNotBlockALeaderWithNothingOfItsOwn) {
  Node node(1);
  node.lead();
  node.protocol->refuse_with = rl::Refusal::busy;
  node.receive(2, Forward{{command(2, 1, "x")}});
  node.pump();
  EXPECT_THAT(node.host.take<ForwardRefused>(), SizeIs(1));
  node.protocol->refuse_with.reset();
  node.pass(1s);
  node.receive(2, Forward{{command(2, 1, "x")}});
  node.pump();
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(2));
}

TEST(Replica, WhatOthersForwardIsBoundedInBytes) {
  Node node(1, {.self = {}, .max_pending_bytes = 5});  // and no leader is known: nothing flows off
  node.receive(2, Forward{{command(2, 1, "four")}});
  EXPECT_THAT(node.host.take<ForwardRefused>(), IsEmpty());
  node.receive(2, Forward{{command(2, 2, "four")}});
  const auto refusals = node.host.take<ForwardRefused>();
  ASSERT_THAT(refusals, SizeIs(1));
  EXPECT_TRUE(refusals[0].second.busy);
  node.lead();
  node.pump();
  node.receive(2, Forward{{command(2, 2, "four")}});
  EXPECT_THAT(node.host.take<ForwardRefused>(), IsEmpty());
}

TEST(Replica, ACommandOfNobodyIsNeitherProposedNorRefused) {
  Node node(1);
  node.lead();
  node.receive(2, Forward{{command(0, 1, "x"), command(2, 1, "y")}});
  node.pump();
  const auto proposed = node.protocol->asked<rl::Propose>();
  ASSERT_THAT(proposed, SizeIs(1));
  ASSERT_THAT(proposed[0].payloads, SizeIs(1));
  const auto batch = codec::decode<CommandBatch>(proposed[0].payloads[0]).value();
  ASSERT_THAT(batch.commands, SizeIs(1));
  EXPECT_EQ(batch.commands[0].id.origin, NodeId(2));
  node.follow(3);
  node.receive(2, Forward{{command(0, 1, "x")}});
  node.pump();
  EXPECT_THAT(node.host.take<ForwardRefused>(), IsEmpty());
}

TEST(Replica, AFollowerAskedToProposeSaysWhoLeads) {
  Node node(2);
  node.follow(1);
  node.receive(3, Forward{{command(3, 1, "x")}});
  node.pump();
  const auto refusals = node.host.take<ForwardRefused>();
  ASSERT_THAT(refusals, SizeIs(1));
  EXPECT_EQ(refusals[0].first, NodeId(3));
  EXPECT_EQ(refusals[0].second.leader, NodeId(1));
}

// A cluster that takes longer than the pause between two attempts must not get all of its load again and
// again.
TEST(Replica, ForwardsAreRepeatedAtGrowingIntervals) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  node.pass(4500ms);
  EXPECT_LE(node.host.take<Forward>().size(), 4U);
}

TEST(Replica, ABusyLeaderIsNotAskedAgainAtOnce) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto ids = std::vector{node.host.take<Forward>().at(0).second.commands.at(0).id};
  node.receive(1, ForwardRefused{ids, NodeId(1), true});
  node.pass(300ms);
  EXPECT_THAT(node.host.take<Forward>(), IsEmpty());
  node.pass(500ms);
  EXPECT_THAT(node.host.take<Forward>(), SizeIs(1));
}

}  // namespace
}  // namespace quorate::replica::testing
