// The replica's snapshots: sent, received, restored, and found by recovery.
#include "replica/scripted.h"

namespace quorate::replica::testing {
namespace {

TEST(Replica, ASnapshotArrivesWholeThoughChunksAreLost) {
  Config config;
  config.snapshot_chunk_bytes = 64;
  Node sender(1, config);
  Node receiver(2, config);
  sender.lead();
  for (std::uint64_t i = 1; i <= 50; ++i) {
    sender.commit(batch({command(9 + i, 1, std::string(100, static_cast<char>('a' + i % 26)))}));
  }
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  sender.commit(batch({command(3, 1, "later")}));  // not part of what was pinned
  Rng rng(5);
  exchange(sender, receiver, [&] { return rng.chance(0.2); });
  const auto received = receiver.protocol->asked<rl::SnapshotReceived>();
  ASSERT_THAT(received, SizeIs(1));
  EXPECT_EQ(received[0].meta.index, Index(50));
  EXPECT_EQ(receiver.replica->status().applied, Index(0)) << "not before the protocol says so";
  receiver.emit(rl::Restore{received[0].meta});
  EXPECT_EQ(receiver.host.halted, "");
  EXPECT_EQ(receiver.replica->status().applied, Index(50));
  EXPECT_EQ(receiver.model->text().size(), 5'000U);
  const auto delivered = sender.protocol->asked<rl::SnapshotDelivered>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_TRUE(delivered[0].ok);
}

TEST(Replica, ASnapshotOfAClusterNeverChangedNamesItsMembers) {
  const Membership initial{{{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}}, {}, {}};
  Node sender(1);
  sender.emit(rl::MembershipChanged{initial, Index(), true});
  sender.lead();
  sender.commit(batch({command(9, 1, "x")}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  const auto chunks = sender.host.take<SnapshotChunk>();
  ASSERT_FALSE(chunks.empty());
  EXPECT_EQ(chunks[0].second.meta.membership, initial);
}

// Who has another one coming in is asked often, by several: the rest follows once it takes this one.
TEST(Replica, ASnapshotBeginsWithOneChunk) {
  Config config;
  config.snapshot_chunk_bytes = 1;
  Node sender(1, config);
  sender.lead();
  sender.commit(batch({command(9, 1, "x")}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  const auto first = sender.host.take<SnapshotChunk>();
  ASSERT_THAT(first, SizeIs(1));
  sender.receive(2, SnapshotAck{.transfer = first[0].second.transfer, .next = 1});
  EXPECT_THAT(sender.host.take<SnapshotChunk>(), SizeIs(::testing::Gt(1)));
}

// Each offer freezes a memtable, and its chunk is in the way of what the node has coming in.
TEST(Replica, ARefusedSnapshotIsNotOfferedAgainAtOnce) {
  Node sender(1, {.self = {}, .flush_after_entries = 1});
  sender.lead();
  const auto offers = [&] {
    sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
    return sender.host.take<SnapshotChunk>();
  };
  const auto first = offers();
  ASSERT_THAT(first, SizeIs(1));
  sender.commit(batch({command(9, 1, "x")}));
  sender.replica->flushed(sender.env, Index(1));
  EXPECT_THAT(sender.protocol->asked<rl::SnapshotAvailable>(), IsEmpty());
  sender.receive(2, SnapshotAck{.transfer = first[0].second.transfer, .refused = true});
  EXPECT_THAT(sender.protocol->asked<rl::SnapshotAvailable>(), SizeIs(1)) << "it is not on its way any more";
  EXPECT_THAT(sender.protocol->asked<rl::SnapshotDelivered>(), IsEmpty());
  EXPECT_THAT(offers(), IsEmpty());
  sender.pass(900ms);
  EXPECT_THAT(offers(), IsEmpty());
  EXPECT_THAT(sender.protocol->asked<rl::SnapshotDelivered>(), IsEmpty());
  sender.pass(200ms);
  const auto told = sender.protocol->asked<rl::SnapshotDelivered>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_FALSE(told[0].ok);
  EXPECT_THAT(offers(), SizeIs(1));
}

// Its sender was deposed, and the next leader brought the entries.
TEST(Replica, AStateThatCameHalfIsDroppedOnceTheLogIsBeyondIt) {
  Config config;
  config.snapshot_chunk_bytes = 1;
  Node sender(1, config);
  Node receiver(2);
  const auto x = batch({command(9, 1, "x")});
  sender.commit(x);
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  receiver.receive(1, sender.host.take<SnapshotChunk>().at(0).second);
  receiver.pass(10s);
  EXPECT_TRUE(receiver.home.open_staging());
  receiver.commit(x);
  receiver.pass(200ms);
  EXPECT_FALSE(receiver.home.open_staging());
  EXPECT_THAT(receiver.host.timers, IsEmpty());
}

TEST(Replica, ASnapshotThatNobodyAnswersIsGivenUp) {
  Node sender(1);
  sender.lead();
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  sender.pass(30s);
  const auto delivered = sender.protocol->asked<rl::SnapshotDelivered>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_FALSE(delivered[0].ok);
}

TEST(Replica, AStagedStateIsKeptOnceTheLogIsCutInFrontOfIt) {
  // 1. a snapshot at 1 is staged; 2. the protocol cuts its log there; 3. another sender brings one at 2,
  // before
  // 4. the cut is durable and the state restored. Without the first state a crash would end this node.
  Node first(1);
  Node receiver(2);
  Node second(3);
  first.commit(batch({command(9, 1, "x")}));
  first.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(first, receiver, [] { return false; });
  const auto meta = receiver.protocol->asked<rl::SnapshotReceived>().at(0).meta;
  receiver.protocol->persist(SnapshotTaken{meta});
  receiver.replica->timer(receiver.env, TimerId(7));
  second.commit(batch({command(9, 1, "x")}));
  second.commit(batch({command(9, 2, "y")}));
  second.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(second, receiver, [] { return false; });
  second.pass(1s);
  EXPECT_FALSE(second.protocol->asked<rl::SnapshotDelivered>().at(0).ok);
  receiver.pass(1h);
  receiver.emit(rl::Restore{meta});
  EXPECT_EQ(receiver.host.halted, "");
  EXPECT_EQ(receiver.model->text(), "x");
}

TEST(Replica, ARestoreEndsTheSendingOfTheStateItReplaces) {
  Node sender(1);
  Node receiver(2);
  receiver.commit(batch({command(9, 1, "x")}));
  receiver.emit(rl::SendSnapshot{NodeId(3), Epoch(1)});
  receiver.host.sent.clear();
  sender.commit(batch({command(9, 1, "x")}));
  sender.commit(batch({command(9, 2, "y")}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(sender, receiver, [] { return false; });
  receiver.emit(rl::Restore{receiver.protocol->asked<rl::SnapshotReceived>().at(0).meta});
  EXPECT_EQ(receiver.host.halted, "");
  receiver.pump();
  const auto delivered = receiver.protocol->asked<rl::SnapshotDelivered>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_EQ(delivered[0].to, NodeId(3));
  EXPECT_FALSE(delivered[0].ok);
}

// A client may be downloading the state when its node gets another one.
TEST(Replica, ARestoreLeavesReadersOfTheOldStateAlone) {
  Node sender(1);
  Node receiver(2);
  receiver.commit(batch({command(9, 1, "old")}));
  const auto pinned = receiver.replica->engine().snapshot();
  for (const char* text : {"x", "y", "z"}) sender.commit(batch({command(9, 1 + text[0], text)}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(sender, receiver, [] { return false; });
  receiver.emit(rl::Restore{receiver.protocol->asked<rl::SnapshotReceived>().at(0).meta});
  EXPECT_EQ(receiver.host.halted, "");
  EXPECT_EQ(receiver.model->text(), "xyz");
  std::string text;
  EXPECT_TRUE(pinned->get(storage::Table(1), "text", text));
  EXPECT_EQ(text, "old");
}

TEST(Replica, AReceiverThatRestartsIsSentTheSnapshotFromItsBeginning) {
  Config config;
  config.snapshot_chunk_bytes = 64;
  Node sender(1, config);
  sender.lead();
  for (std::uint64_t i = 1; i <= 50; ++i) sender.commit(batch({command(9 + i, 1, std::string(100, 'a'))}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  const auto pass = [&](Node& receiver, int rounds) {
    for (int i = 0; i < rounds; ++i) {
      for (auto& [to, frame] : std::exchange(sender.host.sent, {})) receiver.receive(1, frame);
      for (auto& [to, frame] : std::exchange(receiver.host.sent, {})) sender.receive(2, frame);
    }
  };
  {
    Node receiver(2, config);
    pass(receiver, 2);
    EXPECT_THAT(receiver.protocol->asked<rl::SnapshotReceived>(), IsEmpty());
  }
  Node restarted(2, config);
  pass(restarted, 100);  // no time passes
  EXPECT_THAT(restarted.protocol->asked<rl::SnapshotReceived>(), SizeIs(1));
  EXPECT_TRUE(sender.protocol->asked<rl::SnapshotDelivered>().at(0).ok);
}

TEST(Replica, ASnapshotThatIsNotWhatItSaysIsRefused) {
  Node sender(1);
  Node receiver(2);
  sender.commit(batch({command(9, 1, "x")}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  auto chunk = sender.host.take<SnapshotChunk>().at(0).second;
  ASSERT_TRUE(chunk.last);
  chunk.meta.index = Index(7);
  receiver.receive(1, chunk);
  const auto acks = receiver.host.take<SnapshotAck>();
  ASSERT_THAT(acks, SizeIs(1));
  EXPECT_TRUE(acks[0].second.refused);
  EXPECT_EQ(receiver.host.halted, "");
  EXPECT_THAT(receiver.host.warnings, ElementsAre(::testing::HasSubstr("the snapshot that node 1 sent")));
  EXPECT_THAT(receiver.protocol->asked<rl::SnapshotReceived>(), IsEmpty());
}

TEST(Replica, OwnCommandsWithinASnapshotHaveAnUnknownOutcome) {
  Node sender(1);
  Node receiver(2);
  receiver.follow(1);
  receiver.propose("x");
  receiver.pump();
  const auto forwards = receiver.host.take<Forward>();
  sender.lead();
  sender.commit(codec::encode(CommandBatch{forwards[0].second.commands}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(sender, receiver, [] { return false; });
  EXPECT_THAT(receiver.outcomes, IsEmpty());
  receiver.emit(rl::Restore{receiver.protocol->asked<rl::SnapshotReceived>().at(0).meta});
  EXPECT_EQ(receiver.model->text(), "x");
  EXPECT_THAT(receiver.outcomes, ElementsAre("timed out, outcome unknown"));
}

TEST(Replica, TheLogMayBeCutOnceTheStateIsFlushed) {
  Node node(1, {.self = {}, .flush_after_entries = 3});
  for (std::uint64_t i = 1; i <= 3; ++i) node.commit(batch({command(3, i, "x")}));
  EXPECT_THAT(node.host.flushes, ElementsAre(Index(3)));
  node.commit(batch({command(3, 4, "x")}));
  EXPECT_THAT(node.protocol->asked<rl::SnapshotAvailable>(), IsEmpty());
  node.replica->flushed(node.env, Index(3));
  const auto available = node.protocol->asked<rl::SnapshotAvailable>();
  ASSERT_THAT(available, SizeIs(1));
  EXPECT_EQ(available[0].meta.index, Index(3)) << "the index that was flushed, not the one applied since";
}

// Or the node that was brought the state would need the next one: what followed meanwhile would be gone.
TEST(Replica, TheLogIsNotCutRightBehindADeliveredSnapshot) {
  Node sender(1, {.self = {}, .flush_after_entries = 1});
  Node receiver(2);
  std::uint64_t sequence = 0;
  const auto flush = [&] {
    sender.commit(batch({command(3, ++sequence, "x")}));
    sender.replica->flushed(sender.env, Index(sequence));
  };
  const auto cuts = [&] { return sender.protocol->asked<rl::SnapshotAvailable>().size(); };
  flush();
  EXPECT_EQ(cuts(), 1U);
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  flush();
  EXPECT_EQ(cuts(), 1U) << "it is on its way";
  exchange(sender, receiver, [] { return false; });
  EXPECT_THAT(sender.protocol->asked<rl::SnapshotDelivered>(), SizeIs(1));
  flush();
  EXPECT_EQ(cuts(), 1U) << "the receiver wants what followed";
  for (int i = 0; i < 20; ++i) flush();
  EXPECT_GT(cuts(), 1U) << "but not for ever";
}

Recovered cut_at(std::uint64_t index) {
  Recovered recovered;
  recovered.snapshot = SnapshotMeta{Index(index), Epoch(1), {}, {}};
  return recovered;
}

// A staged state up to `index`, flushed; whole or not.
void stage(storage::MemoryHome& home, std::uint64_t index, bool whole) {
  auto staging = *home.create_staging();
  storage::Batch rows;
  std::string applied;
  codec::encode_to(applied, AppliedPoint{Index(index), Epoch(1), {}});
  rows.put(storage::Table::system, "applied", applied);
  if (whole) rows.put(storage::Table::system, std::string(complete_key), "");
  staging->write(rows);
  ASSERT_TRUE(staging->flush());
}

TEST(RecoverState, FinishesAnInstallationThatACrashInterrupted) {
  storage::MemoryHome home;
  stage(home, 9, true);
  home.crash();
  const auto live = Replica::recover_state(home, cut_at(9));
  ASSERT_TRUE(live) << live.error().what;
  EXPECT_EQ(State::read_applied(**live).index, Index(9));
}

TEST(RecoverState, DropsAStagedStateThatTheLogDoesNotKnow) {
  storage::MemoryHome home;
  stage(home, 9, true);
  const auto live = Replica::recover_state(home, {});
  ASSERT_TRUE(live) << live.error().what;
  EXPECT_EQ(State::read_applied(**live).index, Index(0));
  EXPECT_FALSE(home.open_staging());
}

TEST(RecoverState, RefusesALogWhoseStateIsGone) {
  storage::MemoryHome home;
  EXPECT_FALSE(Replica::recover_state(home, cut_at(9)));
  stage(home, 9, false);
  const auto half = Replica::recover_state(home, cut_at(9));
  ASSERT_FALSE(half);
  EXPECT_THAT(half.error().what, ::testing::HasSubstr("the state directory was lost"));
  EXPECT_TRUE(half.error().lost);
}

// Its live state can not be read until it is set aside.
class CorruptHome final : public storage::EngineHome {
 public:
  storage::IoResult<std::unique_ptr<storage::Engine>> open_live() override {
    if (corrupt) return std::unexpected(storage::IoError{storage::IoErrorKind::corrupt, "open live-1"});
    return inner.open_live();
  }
  storage::IoResult<std::unique_ptr<storage::Engine>> create_staging() override {
    return inner.create_staging();
  }
  storage::IoResult<std::unique_ptr<storage::Engine>> open_staging() override { return inner.open_staging(); }
  storage::IoResult<void> promote_staging() override { return inner.promote_staging(); }
  void discard_staging() override { inner.discard_staging(); }
  storage::IoResult<void> set_aside_live() override {
    corrupt = false;
    return inner.set_aside_live();
  }
  storage::MemoryHome inner;
  bool corrupt = true;
};

TEST(RecoverState, MakesADamagedStateAgainWhereTheLogWasNeverCut) {
  Recovered entries;
  entries.log.push_back({Epoch(1), Index(1), EntryKind::noop, {}});
  Recovered records;  // nothing was ever committed
  records.records["hard state"] = Bytes::copy("term 1");
  for (const auto& recovered : {entries, records}) {
    CorruptHome home;
    const auto live = Replica::recover_state(home, recovered);
    ASSERT_TRUE(live) << live.error().what;
    EXPECT_EQ(State::read_applied(**live).index, Index(0));
  }
}

TEST(RecoverState, ADamagedStateStaysWhereNothingElseHoldsWhatItHeld) {
  for (const auto& recovered : {Recovered{}, cut_at(9)}) {  // without any record the log may be lost, too
    CorruptHome home;
    const auto live = Replica::recover_state(home, recovered);
    ASSERT_FALSE(live);
    EXPECT_TRUE(live.error().lost);
    EXPECT_TRUE(home.corrupt) << "it is not set aside";
  }
}

}  // namespace
}  // namespace quorate::replica::testing
