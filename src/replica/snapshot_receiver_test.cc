#include "replica/snapshot_receiver.h"

#include <gtest/gtest.h>

#include "core/codec.h"
#include "replica/state.h"
#include "storage/memory_engine.h"

namespace quorate::replica {
namespace {

TEST(SnapshotReceiver, ATransferThatWasNeverBegunHasNoSecondChunk) {
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  SnapshotChunk chunk;  // transfer 0 from nobody: what the receiver's fields hold while nothing is under way
  chunk.number = 1;
  const auto second = receiver.chunk(NodeId(), chunk, Instant());
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(second->completed);
  EXPECT_EQ(second->ack.next, 0U);
  chunk.number = 0;
  const auto first = receiver.chunk(NodeId(), chunk, Instant());
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->ack.next, 1U);
}

TEST(SnapshotReceiver, ATableThatDoesNotExistIsRefused) {
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  SnapshotChunk chunk;
  chunk.transfer = 1;
  chunk.rows.push_back({storage::table_count, Bytes::copy("k"), Bytes::copy("v")});
  const auto step = receiver.chunk(NodeId(2), chunk, Instant());
  ASSERT_TRUE(step.has_value());
  EXPECT_TRUE(step->ack.refused);
}

TEST(SnapshotReceiver, WhatComesInIsNotGivenUpForANewerStateOfAnotherSender) {
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  const auto send = [&](std::uint64_t from, std::uint64_t index, std::uint64_t number, Instant now) {
    SnapshotChunk chunk;
    chunk.transfer = index;
    chunk.meta.index = Index(index);
    chunk.number = number;
    return receiver.chunk(NodeId(from), chunk, now).value().ack;
  };
  const Instant begin(1h);
  EXPECT_EQ(send(2, 5, 0, begin).next, 1U);
  EXPECT_TRUE(send(3, 6, 0, begin + 10ms).refused);
  EXPECT_EQ(send(2, 5, 1, begin + 20ms).next, 2U);
  EXPECT_TRUE(send(3, 6, 0, begin + 2s).refused) << "the first has stopped sending, it seems";
  EXPECT_EQ(send(3, 6, 0, begin + 3s).next, 1U);
  EXPECT_EQ(send(3, 7, 0, begin + 3s).next, 1U) << "the sender itself has given up the former";
  EXPECT_TRUE(send(3, 6, 0, begin + 3s).refused) << "and is not heard of late";
  EXPECT_TRUE(send(2, 6, 0, begin + 12s).refused);
  EXPECT_TRUE(send(2, 6, 0, begin + 14s).refused);
  EXPECT_EQ(send(2, 6, 0, begin + 15s).next, 1U);
}

// A write that takes long, or a process that is stopped: then what the sender sent meanwhile is read behind
// the offer of another.
TEST(SnapshotReceiver, ANodeThatStoodStillItselfGivesNothingUp) {
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  const auto send = [&](std::uint64_t from, std::uint64_t number, Instant now) {
    SnapshotChunk chunk;
    chunk.transfer = 1;
    chunk.meta.index = Index(3 + from);
    chunk.number = number;
    return receiver.chunk(NodeId(from), chunk, now).value().ack;
  };
  Instant now(1h);
  EXPECT_EQ(send(2, 0, now).next, 1U);
  for (std::uint64_t number = 1; number < 5; ++number) {
    now += 5s;
    EXPECT_TRUE(send(3, 0, now).refused);
    EXPECT_EQ(send(2, number, now).next, number + 1);
  }
}

// Its acknowledgements may be lost, or the state it sent the first time gone: it is not more ahead by that.
TEST(SnapshotReceiver, OfOneSenderTheLaterTransferCountsThoughItIsNoNewer) {
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  const auto send = [&](std::uint64_t transfer) {
    SnapshotChunk chunk;
    chunk.transfer = transfer;
    chunk.meta.index = Index(5);
    return receiver.chunk(NodeId(2), chunk, Instant(1h)).value().ack;
  };
  EXPECT_EQ(send(7).next, 1U);
  EXPECT_EQ(send(8).next, 1U);
  EXPECT_TRUE(send(7).refused);
}

TEST(SnapshotReceiver, ANewLeaderTakesThePlaceOfTheOneBeforeIt) {
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  const auto send = [&](std::uint64_t from, std::uint64_t epoch, std::uint64_t number) {
    SnapshotChunk chunk;
    chunk.transfer = from;
    chunk.epoch = Epoch(epoch);
    chunk.meta.index = Index(5);
    chunk.number = number;
    return receiver.chunk(NodeId(from), chunk, Instant(1h)).value().ack;
  };
  EXPECT_EQ(send(2, 3, 0).next, 1U);
  EXPECT_TRUE(send(3, 2, 0).refused) << "it leads no more";
  EXPECT_EQ(send(3, 4, 0).next, 1U);
  EXPECT_TRUE(send(2, 3, 0).refused);
}

// Any leader's state is as good; with leadership that changes hands faster than a state is brought, none
// would ever be whole.
TEST(SnapshotReceiver, ANewLeaderDoesNotUndoWhatTheFormerOneHasNearlyBrought) {
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  const auto send = [&](std::uint64_t epoch, std::uint64_t number, Instant now) {
    SnapshotChunk chunk;
    chunk.transfer = epoch;
    chunk.epoch = Epoch(epoch);
    chunk.meta.index = Index(5);
    chunk.number = number;
    return receiver.chunk(NodeId(epoch), chunk, now).value().ack;
  };
  const Instant begin(1h);
  for (std::uint64_t number = 0; number < 20; ++number) EXPECT_EQ(send(3, number, begin).next, number + 1);
  EXPECT_TRUE(send(4, 0, begin).refused);
  EXPECT_EQ(send(3, 20, begin + 1s).next, 21U) << "who is deposed may finish";
  EXPECT_TRUE(send(4, 0, begin + 2100ms).refused) << "or it has stopped";
  EXPECT_EQ(send(4, 0, begin + 3100ms).next, 1U);
}

TEST(SnapshotReceiver, WhatIsOfNoUseIsDropped) {
  const Instant begin(1h);
  const auto dropped = [&](bool last, Index committed, Duration passed) {
    storage::MemoryHome home;
    SnapshotReceiver receiver(home, 10s);
    SnapshotChunk chunk;
    chunk.meta.index = Index(5);
    chunk.rows.push_back({0, Bytes::copy("applied"), codec::encode(AppliedPoint{Index(5), {}, {}})});
    chunk.last = last;
    EXPECT_EQ(receiver.chunk(NodeId(2), chunk, begin).value().completed, last);
    receiver.tend(committed, begin + passed);
    EXPECT_EQ(receiver.active(), home.open_staging().has_value());
    return !receiver.active();
  };
  for (const bool last : {false, true}) {
    EXPECT_FALSE(dropped(last, Index(4), 20s));
    EXPECT_TRUE(dropped(last, Index(5), 0s)) << "the log has brought it";
    EXPECT_TRUE(dropped(last, Index(4), 21s)) << "the sender is gone, or the protocol does not want it";
  }
}

// A disk with room for some rows only.
class SmallEngine final : public storage::Engine {
 public:
  explicit SmallEngine(std::size_t& room) : room_(&room) {}
  void put(storage::Table table, std::string_view key, Bytes value) override {
    if (*room_ == 0) return void(full_ = true);
    --*room_;
    inner_->put(table, key, std::move(value));
  }
  void erase(storage::Table table, std::string_view key) override { inner_->erase(table, key); }
  [[nodiscard]] std::optional<storage::IoError> failure() const override {
    if (!full_) return std::nullopt;
    return storage::IoError{storage::IoErrorKind::full, "No space left on device"};
  }
  bool get(storage::Table table, std::string_view key, std::string& value) const override {
    return inner_->get(table, key, value);
  }
  [[nodiscard]] std::unique_ptr<storage::Cursor> cursor(storage::Table table) const override {
    return inner_->cursor(table);
  }
  [[nodiscard]] FlushJob begin_flush() override { return inner_->begin_flush(); }
  [[nodiscard]] std::shared_ptr<const storage::Reader> snapshot() const override {
    return inner_->snapshot();
  }
  [[nodiscard]] std::uint64_t bytes_on_disk() const override { return 0; }
  [[nodiscard]] std::uint64_t bytes_in_use() const override { return 0; }
  [[nodiscard]] std::uint64_t bytes_unflushed() const override { return 0; }
  [[nodiscard]] Compaction compaction() override { return inner_->compaction(); }

 private:
  std::size_t* room_;
  bool full_ = false;
  std::unique_ptr<storage::Engine> inner_ = storage::make_memory_engine();
};

struct SmallHome final : storage::EngineHome {
  storage::IoResult<std::unique_ptr<storage::Engine>> open_live() override { return create_staging(); }
  storage::IoResult<std::unique_ptr<storage::Engine>> create_staging() override {
    return std::make_unique<SmallEngine>(room);
  }
  storage::IoResult<std::unique_ptr<storage::Engine>> open_staging() override { return create_staging(); }
  storage::IoResult<void> promote_staging() override { return {}; }
  void discard_staging() override { ++discarded; }
  storage::IoResult<void> set_aside_live() override { return {}; }
  std::size_t room = 0;
  int discarded = 0;
};

TEST(SnapshotReceiver, AFullDiskCostsTheTransferOnly) {
  SmallHome home;
  home.room = 1;
  SnapshotReceiver receiver(home, 10s);
  SnapshotChunk chunk;
  chunk.transfer = 1;
  const auto send = [&](std::uint64_t number, Instant now) {
    chunk.number = number;
    chunk.rows = {{1, Bytes::copy("k" + std::to_string(number)), Bytes::copy("v")}};
    return receiver.chunk(NodeId(2), chunk, now).value();
  };
  const Instant begin(1h);
  EXPECT_EQ(send(0, begin).ack.next, 1U);
  home.discarded = 0;
  const auto full = send(1, begin);
  EXPECT_TRUE(full.silent);
  EXPECT_EQ(full.objection, "there is no room for it (No space left on device); it is tried again");
  EXPECT_EQ(home.discarded, 1) << "what came must not take the rest of the disk";
  home.room = 9;
  EXPECT_TRUE(send(0, begin + 9s).silent) << "else it would be sent over and over";
  EXPECT_FALSE(send(0, begin + 10s).silent);
  EXPECT_EQ(send(1, begin + 10s).ack.next, 2U);
}

}  // namespace
}  // namespace quorate::replica
