#include "replica/snapshot_receiver.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace quorate::replica
