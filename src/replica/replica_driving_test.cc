// The replica's effects, time and the end.
#include "replica/scripted.h"

namespace quorate::replica::testing {
namespace {

TEST(Replica, GatedEffectsWaitForTheirTicket) {
  Node node(1);
  node.protocol->say(NodeId(2), "vote", Ticket(2));
  node.protocol->say(NodeId(2), "append", Ticket(1));
  node.replica->timer(node.env, TimerId(7));
  EXPECT_THAT(node.host.take<ProtocolFrame>(), IsEmpty());
  node.replica->persisted(node.env, Ticket(1));
  ASSERT_THAT(node.host.sent, SizeIs(1));
  EXPECT_EQ(node.host.take<ProtocolFrame>()[0].second.message, "append");
  node.replica->persisted(node.env, Ticket(2));
  EXPECT_EQ(node.host.take<ProtocolFrame>().at(0).second.message, "vote");
}

TEST(Replica, ACommitBehindAGapHalts) {
  Node node(1);
  node.emit(rl::Committed{{Entry{Epoch(1), Index(5), EntryKind::noop, {}}}});
  EXPECT_THAT(node.host.halted, ::testing::HasSubstr("entry 5 committed while 0 is applied"));
}

TEST(Replica, AnotherProcessWithThisNodesIdHalts) {
  Node node(1);
  node.commit(batch({command(1, 1, "x", 2)}));
  EXPECT_THAT(node.host.halted, ::testing::HasSubstr("another process"));
}

TEST(Replica, WhatTheModelWantedAsALeadersIsNotHandedToTheNextLeader) {
  Node node(1);
  node.lead();
  node.model->wanted = Bytes::literal("tick");
  node.pass(250ms);
  ASSERT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1));
  node.host.take<Forward>();
  node.follow(2, 2);
  node.pass(1s);
  EXPECT_THAT(node.host.take<Forward>(), IsEmpty());
  node.emit(rl::LeaderChanged{NodeId(1), Epoch(3)});
  node.pass(200ms);
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1));
  node.model->wanted = Bytes::literal("tick");  // and it may ask again
  node.pass(250ms);
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(2));
}

TEST(Replica, TheModelIsAskedAgainWhenItsCommandIsThrough) {
  Node node(1);
  const Duration start = node.env.now.time_since_epoch();
  const auto asked = [&] {
    std::vector<Duration> times;
    for (const auto& clock : node.model->clock_seen) times.push_back(clock.shown - start);
    return times;
  };
  node.lead();
  node.model->wanted = Bytes::literal("tick");
  node.pass(250ms);
  node.pass(310ms);
  EXPECT_THAT(asked(), ElementsAre(250ms)) << "one at a time";
  node.model->wanted = Bytes::literal("tick");
  node.commit_proposed();
  node.pass(0ms);
  EXPECT_THAT(asked(), ElementsAre(250ms, 560ms)) << "that took longer than the interval: the next is due";
  node.pass(10ms);
  node.commit_proposed();
  node.pass(239ms);
  EXPECT_THAT(asked(), SizeIs(2));
  node.pass(1ms);
  EXPECT_THAT(asked(), ElementsAre(250ms, 560ms, 810ms));
}

TEST(Replica, NobodyAndItselfAreNoPeers) {
  Node node(1);
  for (const std::uint64_t from : {0, 1}) {
    node.receive(from, ForwardTransfer{1, NodeId(2), 1});
    node.receive(from, DigestAsk{Index(0)});
  }
  EXPECT_THAT(node.host.sent, IsEmpty());
  node.receive(3, ForwardTransfer{1, NodeId(2), 1});
  EXPECT_THAT(node.host.sent, SizeIs(1));
}

TEST(Replica, ALeaderWhoseFlushLagsProposesNoMoreUntilItIsDone) {
  Node node(1, {.self = {}, .flush_after_bytes = 100});
  node.lead();
  const std::string text(200, 'x');
  const auto put = [&] {
    node.propose(text);
    node.pump();
  };
  for (int i = 0; i < 3; ++i) {  // the first begins a flush, the others are too much beside it
    put();
    node.commit_proposed();
  }
  ASSERT_THAT(node.host.flushes, SizeIs(1));
  put();
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(3));
  node.replica->flushed(node.env, node.host.flushes[0]);
  node.pump();
  EXPECT_THAT(node.host.flushes, SizeIs(2)) << "what came meanwhile is flushed next";
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(4));
  node.commit_proposed();
  EXPECT_THAT(node.outcomes, SizeIs(4));
}

TEST(Replica, CloseEndsEveryOperation) {
  Node node(1);
  node.propose("a");
  node.read();
  node.replica->transfer(node.env, NodeId(3), [&](const Outcome<Bytes>& outcome) {
    node.outcomes.emplace_back(outcome ? "done" : to_string(outcome.error()));
  });
  node.replica->close();
  EXPECT_THAT(node.outcomes, ElementsAre("stopping", "stopping", "stopping"));
}

}  // namespace
}  // namespace quorate::replica::testing
