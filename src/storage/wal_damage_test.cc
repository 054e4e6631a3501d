// Damage at rest: records that were known to be durable are never cut, and never changed unseen.
#include <gmock/gmock.h>

#include "storage/crc32c.h"
#include "storage/wal_codec.h"
#include "storage/wal_format.h"
#include "storage/wal_testing.h"

namespace quorate::storage {
namespace {

using namespace wal_testing;
using ::testing::HasSubstr;

constexpr KeyspaceId one(1);

struct Written {
  std::unique_ptr<MemoryDisk> disk = std::make_unique<MemoryDisk>();
  std::vector<Model> after;  // after[n]: n batches
};

Written written(std::size_t batches, std::size_t payload, bool snapshots = false) {
  Written result;
  Model model;
  result.after.push_back(model);
  auto wal = must_open(*result.disk).wal;
  for (std::uint64_t i = 1; i <= batches; ++i) {
    Group group{one, {AppendEntries{{entry(i, std::string(payload, static_cast<char>('a' + i % 26)))}}}};
    if (snapshots && i % 4 == 0) group.writes.push_back(SnapshotTaken{snapshot_meta(i - 2)});
    wal->append(group.keyspace, group.writes);
    add_to(model, group);
    EXPECT_TRUE(wal->sync());
    result.after.push_back(model);
  }
  return result;
}

std::string last_segment(MemoryDisk& disk) { return segment_names(disk).back(); }

// Every byte of every segment: recovery gives the same, or refuses, or (in the last batch alone, where damage
// can not be told from a torn write) gives what was there before that batch.
void mutate_everything(const Written& log, std::uint64_t step) {
  Rng rng(9);
  const std::string last = last_segment(*log.disk);
  std::uint64_t refused = 0;
  std::uint64_t cut = 0;
  for (const auto& name : segment_names(*log.disk)) {
    const auto size = log.disk->contents(name).size();
    for (std::uint64_t offset = 0; offset < size; offset += step) {
      auto disk = log.disk->clone();
      disk->flip_bit(name, offset, static_cast<unsigned>(rng.below(8)));
      auto opened = Wal::open(*disk, small_config());
      if (!opened) {
        ++refused;
        ASSERT_EQ(opened.error().kind, WalError::Kind::corrupt)
            << name << " " << offset << opened.error().what;
        ASSERT_THAT(opened.error().what, HasSubstr(name + ", offset "));
        continue;
      }
      if (difference(log.after.back(), opened->keyspaces).empty()) continue;
      ++cut;
      ASSERT_EQ(name, last) << offset;
      ASSERT_EQ(difference(log.after[log.after.size() - 2], opened->keyspaces), "") << name << " " << offset;
      ASSERT_GT(opened->torn_bytes, 0U);
    }
  }
  EXPECT_GT(refused, 100U);
  EXPECT_GT(cut, 0U);
}

TEST(WalDamage, EveryByteOfOneSegment) { mutate_everything(written(8, 700), 1); }
TEST(WalDamage, EveryByteOfSeveralSegments) { mutate_everything(written(30, 1500, true), 3); }

TEST(WalDamage, SmallBatchesAreNeverCut) {
  // A batch within one sector is written whole or not at all, so damage to it is never a torn write.
  const auto log = written(5, 50);
  const auto name = last_segment(*log.disk);
  for (std::uint64_t offset = 0; offset < 8192; ++offset) {
    auto disk = log.disk->clone();
    disk->flip_bit(name, offset, static_cast<unsigned>(offset % 8));
    auto opened = Wal::open(*disk, small_config());
    ASSERT_TRUE(!opened || difference(log.after.back(), opened->keyspaces).empty()) << offset;
  }
}

TEST(WalDamage, AMissingSegmentIsNamed) {
  auto log = written(40, 1500);
  ASSERT_TRUE(log.disk->remove("wal-0000000002"));
  const auto opened = Wal::open(*log.disk, small_config());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, WalError::Kind::corrupt);
  EXPECT_THAT(opened.error().what, HasSubstr("wal-0000000002, offset 0: the segment is missing"));
}

// It would look whole, and shorter.
TEST(WalDamage, NorIsTheNewestOneMissedUnseen) {
  const auto log = written(30, 1500, true);
  for (auto names = segment_names(*log.disk); !names.empty(); names.pop_back()) {
    ASSERT_TRUE(log.disk->remove(names.back()));
    const auto opened = Wal::open(*log.disk, small_config());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, WalError::Kind::corrupt);
    EXPECT_THAT(opened.error().what, HasSubstr(": the segment is missing"));
    const auto saved = Wal::salvage(*log.disk, small_config());  // a vote may have been in it
    ASSERT_FALSE(saved);
    EXPECT_THAT(saved.error().what, HasSubstr("may have held a record"));
  }
}

TEST(WalDamage, WithoutItsNoteOfTheNewestALogIsWholeAndNotedAgain) {
  const auto log = written(30, 1500, true);
  const auto noted = wal::newest_name(*wal::parse_segment_name(last_segment(*log.disk)));
  ASSERT_TRUE(log.disk->remove(noted));
  EXPECT_EQ(difference(log.after.back(), must_open(*log.disk).keyspaces), "");
  EXPECT_THAT(log.disk->list().value(), ::testing::Contains(noted));
  ASSERT_TRUE(log.disk->rename(noted, wal::newest_name(1)));  // power went before it moved on
  EXPECT_EQ(difference(log.after.back(), must_open(*log.disk).keyspaces), "");
  EXPECT_THAT(log.disk->list().value(), ::testing::Contains(noted));
}

TEST(WalDamage, AFileCutShortIsRefused) {
  auto log = written(10, 700);
  const auto name = last_segment(*log.disk);
  const auto bytes = log.disk->contents(name);
  for (const std::size_t size : {0U, 100U, 512U, 5000U, 16383U}) {
    log.disk->set_contents(name, bytes.substr(0, size));
    const auto opened = Wal::open(*log.disk, small_config());
    ASSERT_FALSE(opened) << size;
    EXPECT_EQ(opened.error().kind, WalError::Kind::corrupt);
  }
}

TEST(WalDamage, ASegmentUnderAnotherNameIsRefused) {
  auto log = written(40, 1500);
  const auto second = log.disk->contents("wal-0000000002");
  log.disk->set_contents("wal-0000000003", second);
  const auto opened = Wal::open(*log.disk, small_config());
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().what, HasSubstr("the file holds segment 2"));
}

TEST(WalDamage, AnotherFormatVersionIsToldApartFromDamage) {
  auto log = written(1, 10);
  auto bytes = log.disk->contents("wal-0000000001");
  bytes[12] = 3;
  log.disk->set_contents("wal-0000000001", bytes);
  EXPECT_EQ(Wal::open(*log.disk, small_config()).error().kind, WalError::Kind::corrupt) << "a flipped bit";
  const auto crc = crc32c(std::string_view(bytes).substr(12, wal::sector - 12));
  for (unsigned i = 0; i < 4; ++i) bytes[8 + i] = static_cast<char>(crc >> (8 * i));
  log.disk->set_contents("wal-0000000001", bytes);
  const auto opened = Wal::open(*log.disk, small_config());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, WalError::Kind::version);
  EXPECT_THAT(opened.error().what, HasSubstr("log format 3, this program reads formats up to 2"));
}

// A sealed batch that makes no sense comes from a faulty program; it is refused like damage.
TEST(WalDamage, AMalformedBodyIsRefused) {
  const Bytes nonsense[] = {Bytes::copy("\x01\x01\x09"), Bytes::copy("\x01\x7f"),
                            Bytes::copy("\x01\x01\x02\x01\x7f"),
                            Bytes::copy("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")};
  for (const auto& body : nonsense) {
    EXPECT_FALSE(wal::decode_groups(body, [](KeyspaceId, Write) { return true; }));
    wal::States states;
    EXPECT_FALSE(wal::decode_checkpoint(body, states));
  }
}

// Bits that are wrong in one reading are not wrong on the disk.
TEST(WalDamage, ABadReadingIsRepeated) {
  auto log = written(12, 700);
  for (std::uint64_t wrong = 1; wrong <= 12; ++wrong) {
    std::uint64_t reads = 0;
    log.disk->set_hook([&](const MemoryDisk::Access& access) -> MemoryDisk::Fault {
      if (access.operation != MemoryDisk::Operation::read || ++reads != wrong) return {};
      return {MemoryDisk::FaultKind::flipped, 8 * (20 + 100 * wrong)};
    });
    EXPECT_EQ(difference(log.after.back(), must_open(*log.disk).keyspaces), "") << wrong;
  }
}

// A write that a lying disk lost is seen once a later one is there.
// The batch that looks bad is read again; so is what stands behind it, which tells damage from a torn end.
TEST(WalDamage, IsNotTakenForATornEndWhenReadingsGoWrong) {
  for (const std::size_t payload : {50U, 700U}) {
    const auto log = written(8, payload);
    const auto name = last_segment(*log.disk);
    const auto bytes = log.disk->contents(name);
    std::vector<std::size_t> damages{bytes.find(std::string(payload, 'd'))};
    if (payload < 400) damages.push_back(bytes.find(std::string(payload, 'i')));  // the last, of one sector
    for (const auto at : damages) {
      ASSERT_NE(at, std::string::npos);
      for (std::uint64_t first = 1; first <= 16; ++first) {
        for (const std::uint64_t count : {1, 2}) {
          for (const std::uint64_t distance : {512, 700, 2048, 8192}) {
            auto disk = log.disk->clone();
            disk->flip_bit(name, at, 3);
            std::uint64_t reads = 0;
            disk->set_hook([&](const MemoryDisk::Access& access) -> MemoryDisk::Fault {
              if (access.operation != MemoryDisk::Operation::read) return {};
              const bool bad = ++reads >= first && reads < first + count;
              return {bad ? MemoryDisk::FaultKind::misdirected : MemoryDisk::FaultKind::none, distance};
            });
            const auto opened = Wal::open(*disk, small_config());
            ASSERT_FALSE(opened) << payload << " " << at << " " << first << " " << count << " " << distance;
            EXPECT_EQ(opened.error().kind, WalError::Kind::corrupt);
          }
        }
      }
    }
  }
}

TEST(WalDamage, ALostWriteInFrontOfLaterOnesIsRefused) {
  for (const auto kind :
       {MemoryDisk::FaultKind::lost, MemoryDisk::FaultKind::misdirected, MemoryDisk::FaultKind::flipped}) {
    MemoryDisk disk;
    auto wal = must_open(disk).wal;
    for (std::uint64_t i = 1; i <= 4; ++i) {
      disk.set_hook([&](const MemoryDisk::Access& access) -> MemoryDisk::Fault {
        const bool hit = i == 2 && access.operation == MemoryDisk::Operation::write && access.offset >= 1024;
        return hit ? MemoryDisk::Fault{kind, 4096} : MemoryDisk::Fault{};
      });
      wal->append(one, std::vector<Write>{AppendEntries{{entry(i, std::string(5000, 'z'))}}});
      ASSERT_TRUE(wal->sync());
      if (i == 3) break;
    }
    disk.set_hook({});
    const auto opened =
        Wal::open(disk, {.segment_bytes = 16U << 10U, .cluster = ClusterId(7), .node = NodeId(3)});
    ASSERT_FALSE(opened) << static_cast<int>(kind);
    EXPECT_EQ(opened.error().kind, WalError::Kind::corrupt);
  }
}

// A write holds the whole last page. One that goes astray may carry older batches over others, or do nothing
// that matters: the next write puts all of the page where it belongs. The first batch of a page is the 7th,
// 15th, 23rd; behind the last page the file ends.
TEST(WalDamage, AWriteThatWentAstrayIsRefusedUnlessTheNextOneMendsIt) {
  for (const std::uint64_t astray : {12U, 28U}) {
    for (const std::uint64_t distance : {512U, 1024U, 2048U}) {
      for (const bool mended : {false, true}) {
        MemoryDisk disk;
        auto wal = must_open(disk).wal;
        for (std::uint64_t i = 1; i <= astray + (mended ? 1 : 0); ++i) {
          disk.set_hook([&](const MemoryDisk::Access& access) -> MemoryDisk::Fault {
            if (i != astray || access.operation != MemoryDisk::Operation::write) return {};
            return {MemoryDisk::FaultKind::misdirected, distance};
          });
          wal->append(one, std::vector<Write>{AppendEntries{{entry(i, "z")}}});
          ASSERT_TRUE(wal->sync());
        }
        disk.set_hook({});
        const auto opened = Wal::open(disk, small_config());
        EXPECT_EQ(opened.has_value(), mended) << astray << " " << distance;
        if (opened) continue;
        EXPECT_EQ(opened.error().kind, WalError::Kind::corrupt);
        EXPECT_FALSE(Wal::salvage(disk, small_config())) << astray << " " << distance;
      }
    }
  }
}

// What it left behind the end is met when the log comes to that page.
TEST(WalDamage, WhatAMendedWriteLeftIsNoDamageWhereverTheLogEnds) {
  for (std::uint64_t distance = 512; distance <= 4096; distance += 512) {
    MemoryDisk disk;
    auto wal = must_open(disk).wal;
    for (std::uint64_t i = 1; i <= 24; ++i) {
      disk.set_hook([&](const MemoryDisk::Access& access) -> MemoryDisk::Fault {
        if (i != 3 || access.operation != MemoryDisk::Operation::write) return {};
        return {MemoryDisk::FaultKind::misdirected, distance};
      });
      wal->append(one, std::vector<Write>{AppendEntries{{entry(i, "z")}}});
      ASSERT_TRUE(wal->sync());
      const auto copy = disk.clone();
      const auto opened = Wal::open(*copy, small_config());
      EXPECT_EQ(opened.has_value(), i != 3) << distance << ", " << i << " batches";
    }
  }
}

TEST(WalDamage, AnUnreadableDiskIsAnErrorNotATornTail) {
  auto log = written(12, 700);
  for (std::uint64_t wrong = 1; wrong <= 4; ++wrong) {
    std::uint64_t reads = 0;
    log.disk->set_hook([&](const MemoryDisk::Access& access) -> MemoryDisk::Fault {
      if (access.operation != MemoryDisk::Operation::read || ++reads != wrong) return {};
      return {MemoryDisk::FaultKind::io_error};
    });
    const auto opened = Wal::open(*log.disk, small_config());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, WalError::Kind::io);
  }
}

}  // namespace
}  // namespace quorate::storage
