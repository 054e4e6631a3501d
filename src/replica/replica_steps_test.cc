// Commands that take several turns.
#include "replica/scripted.h"

namespace quorate::replica::testing {
namespace {

constexpr TimerId apply_timer{(3ULL << 62U) + 3};

// A node that is in the midst of a command, at index 2, behind an ordinary one.
struct Midway : Node {
  explicit Midway(Config config = {}) : Node(1, config) {
    model->digests = true;
    lead();
    commit(batch({command(2, 1, "a")}));
    commit_at(2, "long");
  }
  void commit_at(std::uint64_t index, std::string_view body) {
    emit(
        rl::Committed{{Entry{Epoch(1), Index(index), EntryKind::payload, batch({command(2, index, body)})}}});
  }
  void turn() {
    ASSERT_TRUE(host.timers.erase(apply_timer) == 1) << "nothing is left to be done";
    replica->timer(env, apply_timer);
  }
  void end() {
    while (!replica->settled()) turn();
  }
  void work_off() {
    while (host.timers.contains(apply_timer)) turn();
  }
};

TEST(ReplicaSteps, TheProtocolGoesOnWhileACommandIsHalfDone) {
  Midway node;
  EXPECT_FALSE(node.replica->settled());
  node.protocol->say(NodeId(2), "heartbeat", Ticket(0));
  node.receive(2, ProtocolFrame{Bytes::literal("append")});
  EXPECT_EQ(node.host.take<ProtocolFrame>().at(0).second.message, "heartbeat");
  EXPECT_TRUE(std::holds_alternative<Receive<Bytes>>(node.protocol->inputs.back()));
  EXPECT_EQ(node.replica->status().applied, Index(1));
  EXPECT_EQ(node.replica->status().committed, Index(2));
  EXPECT_EQ(node.replica->check_invariants(), std::nullopt);
}

TEST(ReplicaSteps, WhatIsCommittedMeanwhileFollowsInOrder) {
  Midway node;
  node.commit_at(3, "b");
  node.commit_at(4, "c");
  EXPECT_EQ(node.model->text(), "a");
  node.work_off();
  EXPECT_EQ(node.model->text(), "alongbc");
  EXPECT_EQ(node.replica->status().applied, Index(4));
  EXPECT_EQ(node.model->committed_at.back(), Index(4));
}

// Here the pace ends with every command: what piled up is applied an entry a turn.
TEST(ReplicaSteps, WhatPiledUpIsAppliedInTurns) {
  Midway node({.self = {}, .apply_units = 1});
  for (std::uint64_t index = 3; index < 6; ++index) node.commit_at(index, std::to_string(index));
  node.end();
  for (std::uint64_t applied = 2; applied < 5; ++applied) {
    EXPECT_EQ(node.replica->status().applied, Index(applied));
    node.turn();
  }
  EXPECT_EQ(node.model->text(), "along345");
  EXPECT_FALSE(node.host.timers.contains(apply_timer));
}

// However many commands follow that take long: behind each the state is settled, for flushes and reads.
TEST(ReplicaSteps, ARowOfLongCommandsIsSettledBehindEach) {
  Midway node({.self = {}, .flush_after_entries = 1, .apply_units = 1000});
  node.replica->flushed(node.env, Index(1));
  for (std::uint64_t index = 3; index < 7; ++index) node.commit_at(index, "long");
  for (std::uint64_t applied = 2; applied < 7; ++applied) {
    node.read();
    node.pump();
    node.emit(rl::ReadReady{{node.protocol->asked<rl::ReadBarrier>().back().id}, Index(applied)});
    node.end();
    EXPECT_EQ(node.replica->status().applied, Index(applied));
    EXPECT_EQ(node.outcomes.back(), "read at " + std::to_string(applied));
    EXPECT_EQ(node.host.flushes.back(), Index(applied));
    node.replica->flushed(node.env, Index(applied));
    if (applied < 6) node.turn();
  }
  EXPECT_EQ(node.model->text(), "alonglonglonglonglong");
}

TEST(ReplicaSteps, AReadConfirmedBeforeWaitsUntilTheCommandIsThrough) {
  Midway node;
  node.read();
  node.pump();
  const auto id = node.protocol->asked<rl::ReadBarrier>().at(0).id;
  node.emit(rl::ReadReady{{id}, Index(1)});
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.end();
  EXPECT_THAT(node.outcomes, ElementsAre("read at 2"));
}

TEST(ReplicaSteps, AnOwnCommandIsAnsweredWhenItIsThrough) {
  Node node(1);
  node.lead();
  node.propose("long");
  node.pump();
  node.commit_proposed();
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.pass(1ms);
  EXPECT_THAT(node.outcomes, ElementsAre("4"));
}

TEST(ReplicaSteps, HalfACommandIsNotFlushed) {
  Midway node({.self = {}, .flush_after_entries = 1});
  ASSERT_THAT(node.host.flushes, ElementsAre(Index(1)));
  node.replica->flushed(node.env, Index(1));  // enough is there for the next
  node.replica->checkpoint(node.env);
  EXPECT_THAT(node.host.flushes, SizeIs(1));
  node.end();
  EXPECT_THAT(node.host.flushes, ElementsAre(Index(1), Index(2)));
}

// Whoever asks for it and then for a settled state finds the flush under way: a compaction comes behind it.
TEST(ReplicaSteps, ACheckpointAskedForIsMadeWhenTheCommandIsThrough) {
  Midway node;
  node.replica->checkpoint(node.env);
  std::vector<Index> found;
  node.replica->when_settled([&] { found = node.host.flushes; });
  EXPECT_THAT(node.host.flushes, IsEmpty());
  node.end();
  EXPECT_THAT(node.host.flushes, ElementsAre(Index(2)));
  EXPECT_THAT(found, ElementsAre(Index(2)));
}

TEST(ReplicaSteps, HalfACommandIsNotSentToOthers) {
  Midway node;
  node.emit(rl::SendSnapshot{NodeId(3), Epoch(1)});
  EXPECT_THAT(node.host.take<SnapshotChunk>(), IsEmpty());
  node.end();
  const auto chunks = node.host.take<SnapshotChunk>();
  ASSERT_THAT(chunks, SizeIs(1));
  EXPECT_EQ(chunks[0].second.meta.index, Index(2));
  EXPECT_EQ(chunks[0].second.meta.digest, "along");
  for (const auto& row : chunks[0].second.rows) EXPECT_NE(row.key, "half");
}

TEST(ReplicaSteps, HalfACommandHasNoDigest) {
  Midway node;
  node.receive(2, DigestAsk{Index(1)});
  EXPECT_THAT(node.host.take<DigestTold>(), IsEmpty());
  node.receive(2, DigestAsk{Index(2)});
  node.pass(Duration(0));
  node.end();
  const auto told = node.host.take<DigestTold>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].second.digest, "along");
}

TEST(ReplicaSteps, WhoeverAsksForASettledStateGetsOne) {
  Midway node;
  int called = 0;
  node.replica->when_settled([&] { ++called; });
  EXPECT_EQ(called, 0);
  node.end();
  EXPECT_EQ(called, 1);
  node.replica->when_settled([&] { ++called; });
  EXPECT_EQ(called, 2);
}

// 1. A node in the midst of a command receives a later state. 2. It goes on from there, and the half is gone.
TEST(ReplicaSteps, AStateThatArrivesEndsTheCommand) {
  Node sender(2);
  for (int i = 0; i < 9; ++i) sender.commit(batch({command(2, static_cast<std::uint64_t>(i + 1), "s")}));
  Midway node;
  sender.emit(rl::SendSnapshot{NodeId(1), Epoch(1)});
  exchange(sender, node, [&] {
    const bool received = !node.protocol->asked<rl::SnapshotReceived>().empty();
    if (received && node.replica->status().applied < Index(9))
      node.emit(rl::Restore{node.protocol->asked<rl::SnapshotReceived>().back().meta});
    return false;
  });
  EXPECT_EQ(node.host.halted, "");
  EXPECT_TRUE(node.replica->settled());
  EXPECT_EQ(node.replica->status().applied, Index(9));
  node.commit_at(10, "b");
  EXPECT_EQ(node.model->text(), "sssssssssb");
}

TEST(ReplicaSteps, ClosingInTheMidstAnswersEverybody) {
  Midway node;
  node.propose("x");
  node.read();
  node.replica->when_settled([&] { node.outcomes.emplace_back("never"); });
  node.replica->close();
  EXPECT_THAT(node.outcomes, ElementsAre("stopping", "stopping"));
}

}  // namespace
}  // namespace quorate::replica::testing
