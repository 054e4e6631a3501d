// What the log promises while the disk behaves.
#include "storage/wal.h"

#include <gmock/gmock.h>

#include "storage/wal_testing.h"

namespace quorate::storage {
namespace {

using namespace wal_testing;
using ::testing::HasSubstr;

constexpr KeyspaceId one(1);
constexpr KeyspaceId two(2);

void append(Wal& wal, KeyspaceId keyspace, std::vector<Write> writes) { wal.append(keyspace, writes); }

std::string text(std::size_t size) { return std::string(size, 'x'); }

TEST(Wal, StartsEmpty) {
  MemoryDisk disk;
  auto opened = must_open(disk);
  EXPECT_TRUE(opened.keyspaces.empty());
  EXPECT_EQ(opened.torn_bytes, 0U);
  EXPECT_EQ(opened.wal->pending_bytes(), 0U);
  EXPECT_TRUE(must_open(disk).keyspaces.empty());
}

TEST(Wal, FindsEveryShapeOfWriteAgain) {
  MemoryDisk disk;
  {
    auto wal = must_open(disk).wal;
    append(*wal, one,
           {PutRecord{"vote", Bytes::copy("n2")}, PutRecord{"gone", Bytes::copy("soon")},
            AppendEntries{{entry(1, "a"), entry(2, "b", 2), entry(3, "")}}});
    append(*wal, two, {SnapshotTaken{snapshot_meta(10)}, AppendEntries{{entry(11, "k")}}});
    append(*wal, one, {TruncateFrom{Index(3)}, PutRecord{"gone", {}}, AppendEntries{{entry(3, "c", 3)}}});
    EXPECT_GT(wal->pending_bytes(), 0U);
    ASSERT_TRUE(wal->sync());
    EXPECT_EQ(wal->pending_bytes(), 0U);
    EXPECT_EQ(wal->stats().syncs, 1U);
  }
  auto found = must_open(disk).keyspaces;
  EXPECT_EQ(found[one].records, (std::map<RecordKey, Bytes>{{"vote", Bytes::copy("n2")}}));
  EXPECT_EQ(found[one].log, (std::vector<Entry>{entry(1, "a"), entry(2, "b", 2), entry(3, "c", 3)}));
  EXPECT_FALSE(found[one].snapshot);
  EXPECT_EQ(found[two].snapshot, snapshot_meta(10));
  EXPECT_EQ(found[two].log, std::vector<Entry>{entry(11, "k")});
}

TEST(Wal, WritesOnceAndSyncsOncePerSync) {
  MemoryDisk disk;
  auto wal = must_open(disk, {.segment_bytes = 1U << 20U, .cluster = ClusterId(7), .node = NodeId(3)}).wal;
  int writes = 0;
  int syncs = 0;
  disk.set_hook([&](const MemoryDisk::Access& access) {
    const bool segment = access.file == "wal-0000000001" || access.file == "spare-0000000001";
    writes += segment && access.file.starts_with("spare-0000000001") &&
              access.operation == MemoryDisk::Operation::write;
    syncs += access.operation == MemoryDisk::Operation::sync ||
             access.operation == MemoryDisk::Operation::sync_directory;
    return MemoryDisk::Fault{};
  });
  for (int i = 0; i < 10; ++i) append(*wal, KeyspaceId(1 + i), {AppendEntries{{entry(1, text(100))}}});
  ASSERT_TRUE(wal->sync());
  EXPECT_EQ(writes, 1);
  EXPECT_EQ(syncs, 1);
}

TEST(Wal, SyncWithoutAppendDoesNothing) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  const auto before = disk.accesses();
  EXPECT_TRUE(wal->sync());
  EXPECT_EQ(disk.accesses(), before);
}

TEST(Wal, SnapshotBeyondTheLogRestartsItBehindTheSnapshot) {
  MemoryDisk disk;
  {
    auto wal = must_open(disk).wal;
    append(*wal, one, {AppendEntries{{entry(1, "a"), entry(2, "b")}}});
    append(*wal, one, {SnapshotTaken{snapshot_meta(100, 4)}});
    append(*wal, one, {AppendEntries{{entry(101, "c", 4)}}});
    ASSERT_TRUE(wal->sync());
  }
  auto found = must_open(disk).keyspaces;
  EXPECT_EQ(found[one].log, std::vector<Entry>{entry(101, "c", 4)});
  EXPECT_EQ(found[one].snapshot, snapshot_meta(100, 4));
}

TEST(Wal, SnapshotWithinTheLogKeepsWhatIsBehindIt) {
  MemoryDisk disk;
  {
    auto wal = must_open(disk).wal;
    append(*wal, one,
           {AppendEntries{{entry(1, "a"), entry(2, "b"), entry(3, "c")}}, SnapshotTaken{snapshot_meta(2)}});
    ASSERT_TRUE(wal->sync());
  }
  EXPECT_EQ(must_open(disk).keyspaces[one].log.back(), entry(3, "c"));
}

TEST(Wal, TruncationIntoTheSnapshotDropsTheWholeLog) {
  MemoryDisk disk;
  {
    auto wal = must_open(disk).wal;
    append(*wal, one,
           {AppendEntries{{entry(1, "a"), entry(2, "b"), entry(3, "c")}}, SnapshotTaken{snapshot_meta(2)},
            TruncateFrom{Index(2)}});
    ASSERT_TRUE(wal->sync());
  }
  auto opened = must_open(disk);
  EXPECT_TRUE(opened.keyspaces[one].log.empty());
  append(*opened.wal, one, {AppendEntries{{entry(3, "d")}}});
  EXPECT_TRUE(opened.wal->sync()) << "it goes on behind the snapshot";
}

TEST(Wal, PreparesTheNextSegmentWhileTheFirstIsFilled) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  const auto bytes = small_config().segment_bytes;
  std::uint64_t zeroed = 0;
  disk.set_hook([&](const MemoryDisk::Access& access) {
    if (access.operation == MemoryDisk::Operation::write && access.file == "spare-0000000002")
      zeroed += access.length;
    return MemoryDisk::Fault{};
  });
  for (std::uint64_t i = 1; zeroed < bytes && i < 20; ++i) {
    append(*wal, one, {AppendEntries{{entry(i, text(200))}}});
    ASSERT_TRUE(wal->sync());
  }
  EXPECT_EQ(zeroed, bytes);
  EXPECT_FALSE(disk.exists("wal-0000000002")) << "before it is wanted";
  EXPECT_EQ(wal->stats().segments, 2U);
}

TEST(Wal, SmallBatchesFindZeroesWhereAFileWasOnlyAllocated) {
  constexpr std::uint64_t mega = 1U << 20U;
  MemoryDisk disk;
  std::uint64_t reached = 0;
  disk.set_hook([&](const MemoryDisk::Access& access) {
    const bool first = access.file == "wal-0000000001" || access.file == "spare-0000000001";
    if (first && access.operation == MemoryDisk::Operation::write)
      reached = std::max(reached, access.offset + access.length);
    return MemoryDisk::Fault{};
  });
  auto wal = must_open(disk, {.segment_bytes = 8 * mega, .cluster = ClusterId(7), .node = NodeId(3)}).wal;
  EXPECT_GE(reached, mega);
  std::uint64_t index = 0;
  for (int i = 0; i < 40; ++i) {
    append(*wal, one, {AppendEntries{{entry(++index, text(32 << 10))}}});
    ASSERT_TRUE(wal->sync());
  }
  EXPECT_GE(reached, 2 * mega);
  append(*wal, one, {AppendEntries{{entry(++index, text(2 * mega))}}});
  ASSERT_TRUE(wal->sync());
  EXPECT_LT(reached, 4 * mega) << "a large batch fills its pages itself";
}

TEST(Wal, RefusesEntriesThatDoNotFollow) {
  for (const auto& writes : std::vector<std::vector<Write>>{
           {AppendEntries{{entry(2, "gap")}}},
           {AppendEntries{{entry(1, "a"), entry(3, "hole")}}},
           {AppendEntries{{entry(1, "a")}}, AppendEntries{{entry(1, "again")}}},
           {SnapshotTaken{snapshot_meta(5)}, AppendEntries{{entry(5, "inside")}}}}) {
    MemoryDisk disk;
    auto wal = must_open(disk).wal;
    wal->append(one, writes);
    const auto synced = wal->sync();
    ASSERT_FALSE(synced);
    EXPECT_THAT(synced.error().what, HasSubstr("keyspace 1"));
    EXPECT_FALSE(wal->sync()) << "closed for good";
    EXPECT_TRUE(must_open(disk).keyspaces.empty()) << "nothing of it reached the disk";
  }
}

TEST(Wal, ReleasesAndRecyclesSegmentsBehindSnapshots) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  std::uint64_t index = 0;
  for (int i = 0; i < 200; ++i) {
    append(*wal, one, {AppendEntries{{entry(index + 1, text(1000))}}, PutRecord{"vote", Bytes::copy("x")}});
    ++index;
    if (i % 5 == 4) append(*wal, one, {SnapshotTaken{snapshot_meta(index - 1)}});
    ASSERT_TRUE(wal->sync());
  }
  EXPECT_LE(wal->stats().segments, 5U);
  EXPECT_LE(disk.used(), 5U * small_config().segment_bytes) << "files are used again, not added";
  EXPECT_EQ(wal->stats().oldest_keyspace, KeyspaceId());
  wal.reset();
  auto found = must_open(disk).keyspaces;
  EXPECT_EQ(found[one].log.back().index, Index(200));
  EXPECT_EQ(found[one].records.at("vote"), "x");
}

TEST(Wal, CheckpointsCarryRecordsSnapshotsAndBoundsOfQuietKeyspaces) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  append(*wal, two, {PutRecord{"promise", Bytes::copy("7")}, SnapshotTaken{snapshot_meta(40)}});
  std::uint64_t index = 0;
  for (int i = 0; i < 100; ++i) {
    append(*wal, one,
           {AppendEntries{{entry(index + 1, text(2000))}}, SnapshotTaken{snapshot_meta(index + 1)}});
    ++index;
    ASSERT_TRUE(wal->sync());
  }
  EXPECT_FALSE(disk.exists("wal-0000000001"));
  wal.reset();
  auto opened = must_open(disk);
  EXPECT_EQ(opened.keyspaces[two].records.at("promise"), "7");
  EXPECT_EQ(opened.keyspaces[two].snapshot, snapshot_meta(40));
  append(*opened.wal, two, {AppendEntries{{entry(41, "next")}}});
  EXPECT_TRUE(opened.wal->sync()) << "the log of the quiet keyspace goes on behind its snapshot";
}

TEST(Wal, AQuietKeyspacesEntriesKeepTheirSegmentAndStatsSayWhose) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  append(*wal, two, {AppendEntries{{entry(1, "keep me")}}});
  std::uint64_t index = 0;
  const auto fill = [&] {
    for (int i = 0; i < 50; ++i) {
      ++index;
      append(*wal, one, {AppendEntries{{entry(index, text(2000))}}, SnapshotTaken{snapshot_meta(index)}});
      ASSERT_TRUE(wal->sync());
    }
  };
  fill();
  EXPECT_TRUE(disk.exists("wal-0000000001"));
  EXPECT_EQ(wal->stats().oldest_keyspace, two);
  EXPECT_GT(wal->stats().live_bytes, 100'000U);
  EXPECT_EQ(must_open(*disk.clone()).keyspaces[two].log, std::vector<Entry>{entry(1, "keep me")});
  append(*wal, two, {SnapshotTaken{snapshot_meta(1)}});
  fill();
  EXPECT_FALSE(disk.exists("wal-0000000001"));
  EXPECT_EQ(wal->stats().oldest_keyspace, KeyspaceId());
  EXPECT_LT(wal->stats().live_bytes, 100'000U);
}

TEST(Wal, ABatchLargerThanASegmentIsWrittenWhole) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  append(*wal, one, {AppendEntries{{entry(1, text(100'000))}}});
  ASSERT_TRUE(wal->sync());
  append(*wal, one, {AppendEntries{{entry(2, text(100'000))}}});
  ASSERT_TRUE(wal->sync());
  append(*wal, one, {AppendEntries{{entry(3, "small")}}});
  ASSERT_TRUE(wal->sync());
  wal.reset();
  auto found = must_open(disk).keyspaces;
  ASSERT_EQ(found[one].log.size(), 3U);
  EXPECT_EQ(found[one].log[1], entry(2, text(100'000)));
}

TEST(Wal, SegmentsGrowWithLargeCheckpoints) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  for (int i = 0; i < 100; ++i) {
    append(*wal, one, {PutRecord{"slot" + std::to_string(i), Bytes::adopt(text(1000))}});
    ASSERT_TRUE(wal->sync());
  }
  wal.reset();
  EXPECT_EQ(must_open(disk).keyspaces[one].records.size(), 100U);
}

TEST(Wal, GoesOnAfterEveryReopening) {
  MemoryDisk disk;
  Model model;
  Rng rng(5);
  for (int life = 0; life < 60; ++life) {
    auto opened = must_open(disk);
    ASSERT_EQ(difference(model, opened.keyspaces), "") << "life " << life;
    ASSERT_EQ(opened.torn_bytes, 0U);
    for (std::uint64_t i = rng.below(6); i > 0; --i) {
      const auto group = random_group(rng, model, 2000);
      opened.wal->append(group.keyspace, group.writes);
      add_to(model, group);
      if (group.writes.empty()) continue;
      ASSERT_TRUE(opened.wal->sync());
    }
  }
}

TEST(Wal, TakesUpAnotherSegmentSizeWithTheNextSegments) {
  MemoryDisk disk;
  std::uint64_t index = 0;
  for (const std::uint64_t size : {16U << 10U, 64U << 10U, 32U << 10U}) {
    auto config = small_config();
    config.segment_bytes = size;
    auto opened = must_open(disk, config);
    EXPECT_EQ(opened.keyspaces[one].snapshot.value_or(SnapshotMeta{}).index, Index(index));
    for (int i = 0; i < 300; ++i) {
      ++index;
      append(*opened.wal, one,
             {AppendEntries{{entry(index, text(1000))}}, SnapshotTaken{snapshot_meta(index)}});
      ASSERT_TRUE(opened.wal->sync());
    }
    const auto names = disk.list().value();
    for (const auto& name : names) {
      if (wal::parse_newest_name(name)) continue;
      EXPECT_EQ(disk.contents(name).size(), size) << name;
    }
  }
}

TEST(Wal, RefusesTheLogOfAnotherNodeOrCluster) {
  MemoryDisk disk;
  must_open(disk);
  for (const auto& config :
       {WalConfig{16U << 10U, ClusterId(8), NodeId(3)}, WalConfig{16U << 10U, ClusterId(7), NodeId(4)}}) {
    const auto opened = Wal::open(disk, config);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, WalError::Kind::alien);
    EXPECT_THAT(opened.error().what, HasSubstr("written by node 3 of cluster 7"));
  }
}

TEST(Wal, StopsOnAFullDiskAndFindsWhatWasDurable) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  disk.set_capacity(40U << 10U);
  std::uint64_t index = 0;
  IoResult<void> synced;
  while (synced && index < 1000) {
    append(*wal, one, {AppendEntries{{entry(index + 1, text(1000))}}});
    synced = wal->sync();
    if (synced) ++index;
  }
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().kind, IoErrorKind::full);
  EXPECT_GT(index, 10U);
  disk.set_capacity(UINT64_MAX);
  EXPECT_FALSE(wal->sync()) << "closed for good";
  wal.reset();
  EXPECT_EQ(must_open(disk).keyspaces[one].log.size(), index);
}

// The files that are there are used again: as long as the log is cut, a disk without any room will do.
TEST(Wal, ALogThatIsCutNeedsNoNewRoom) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  std::uint64_t index = 0;
  const auto write = [&](std::uint64_t until) {
    IoResult<void> synced;
    while (synced && index < until) {
      append(*wal, one, {AppendEntries{{entry(++index, text(1000))}}});
      if (index > 5) append(*wal, one, {SnapshotTaken{{Index(index - 5), Epoch(1), {}, {}}}});
      synced = wal->sync();
    }
    return synced.has_value();
  };
  ASSERT_TRUE(write(100));
  disk.set_capacity(disk.used());
  EXPECT_EQ(disk.space()->free, 0U);
  EXPECT_TRUE(write(1000));
}

// The kernel marks the pages of a failed flush clean: what is read afterwards is not what the disk holds.
TEST(Wal, AFailedSyncClosesTheLogAndIsNotBelievedByTheNextLife) {
  MemoryDisk disk;
  auto wal = must_open(disk).wal;
  append(*wal, one, {AppendEntries{{entry(1, "durable")}}});
  ASSERT_TRUE(wal->sync());
  disk.set_hook([](const MemoryDisk::Access& access) {
    return MemoryDisk::Fault{access.operation == MemoryDisk::Operation::sync
                                 ? MemoryDisk::FaultKind::failed_sync
                                 : MemoryDisk::FaultKind::none};
  });
  append(*wal, one, {AppendEntries{{entry(2, "unsure")}}});
  ASSERT_FALSE(wal->sync());
  disk.set_hook({});
  append(*wal, one, {AppendEntries{{entry(3, "refused")}}});
  const auto again = wal->sync();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, IoErrorKind::failed_sync);
  wal.reset();

  // The process restarts without a power cut: entry 2 is readable. Whatever it now takes for durable must be.
  auto second = must_open(disk);
  const auto believed = second.keyspaces[one].log;
  Rng rng(1);
  disk.crash(rng, MemoryDisk::Survival::none);
  EXPECT_EQ(must_open(disk).keyspaces[one].log, believed);
}

}  // namespace
}  // namespace quorate::storage
