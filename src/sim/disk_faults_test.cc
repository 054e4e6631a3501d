// What disks do wrong, what a log must hold all the same, and what it may lose.
#include "sim/disk_faults.h"

#include <gtest/gtest.h>

#include "sim/durable_shadow.h"

namespace quorate::sim {
namespace {

TEST(DiskFaults, StrikeOnceWhereTheyFit) {
  using Disk = storage::MemoryDisk;
  DiskFaults faults;
  int told = 0;
  faults.arm({.kind = Disk::FaultKind::failed_sync, .skip = 1, .struck = [&] { ++told; }});
  const auto kind = [&](Disk::Operation operation) { return faults({operation, "f"}).kind; };
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::none);
  EXPECT_EQ(kind(Disk::Operation::sync), Disk::FaultKind::none);  // skipped
  EXPECT_FALSE(faults.struck());
  EXPECT_EQ(kind(Disk::Operation::sync), Disk::FaultKind::failed_sync);
  EXPECT_EQ(kind(Disk::Operation::sync), Disk::FaultKind::none);
  EXPECT_TRUE(faults.struck());
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(faults.lies().damaged());
  faults.arm({.kind = Disk::FaultKind::full, .lasting = true, .number = 7});
  faults.arm({.kind = Disk::FaultKind::lost, .skip = 1, .number = 8});
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::full);
  EXPECT_EQ(kind(Disk::Operation::create), Disk::FaultKind::full);
  faults.disarm(7);
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::none);
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::lost);
  EXPECT_TRUE(faults.lies().log_damaged());
  EXPECT_FALSE(faults.armed());
}

Entry entry(std::uint64_t index) { return {Epoch(1), Index(index), EntryKind::payload, Bytes::copy("x")}; }

TEST(DurableShadow, AcceptsWhatWasDurableAndAPrefixOfTheRest) {
  const auto shadow = [] {
    DurableShadow s;
    s.submitted({PutRecord{"vote", Bytes::copy("1")}});
    s.submitted({AppendEntries{{entry(1)}}});
    s.synced(2);
    s.submitted({AppendEntries{{entry(2)}}});
    s.submitted({AppendEntries{{entry(3)}}});
    return s;
  };
  const auto found = [](std::uint64_t last) {
    Recovered recovered;
    recovered.records["vote"] = Bytes::copy("1");
    for (std::uint64_t i = 1; i <= last; ++i) recovered.log.push_back(entry(i));
    return recovered;
  };
  EXPECT_TRUE(shadow().recovered(found(0)));
  EXPECT_FALSE(shadow().recovered(found(1)));
  EXPECT_FALSE(shadow().recovered(found(2)));
  EXPECT_FALSE(shadow().recovered(found(3)));
  EXPECT_TRUE(shadow().recovered(found(4)));
  auto no_vote = found(3);
  no_vote.records.clear();
  EXPECT_TRUE(shadow().recovered(no_vote));
}

TEST(DurableShadow, FollowsTruncationSnapshotsAndErasedRecords) {
  DurableShadow shadow;
  shadow.submitted({AppendEntries{{entry(1), entry(2), entry(3)}}, PutRecord{"a", Bytes::copy("1")}});
  shadow.submitted({TruncateFrom{Index(3)}, PutRecord{"a", Bytes()}});
  shadow.submitted({SnapshotTaken{{Index(1), Epoch(1), {}, {}}}});
  shadow.synced(3);
  Recovered found;
  found.snapshot = SnapshotMeta{Index(1), Epoch(1), {}, {}};
  found.log = {entry(1), entry(2)};  // entries below the snapshot may still be there
  EXPECT_FALSE(shadow.recovered(found));
  found.log.push_back(entry(3));
  EXPECT_TRUE(shadow.recovered(found));
}

TEST(DurableShadow, KnowsTheRecordsOfADamagedLog) {
  using Records = std::map<RecordKey, Bytes>;
  DurableShadow shadow;
  shadow.submitted({PutRecord{"vote", Bytes::copy("1")}});
  shadow.synced(1);
  shadow.submitted({PutRecord{"vote", Bytes::copy("2")}});
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("1")}}), 0U);
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("2")}}), 0U) << "in flight: it may be there";
  EXPECT_EQ(shadow.lacking(Records{}), 1U);
  shadow.synced(1);
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("1")}}), 1U);
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("3")}}), std::nullopt);
}

TEST(DurableShadow, TellsHowManyOfTheNewestSyncsAreMissing) {
  const auto missed = [](std::uint64_t last) {
    DurableShadow shadow;
    shadow.submitted({AppendEntries{{entry(1)}}});
    shadow.synced(1);
    shadow.submitted({AppendEntries{{entry(2)}}});
    shadow.submitted({AppendEntries{{entry(3)}}});
    shadow.synced(2);
    shadow.submitted({AppendEntries{{entry(4)}}});
    Recovered found;
    for (std::uint64_t i = 1; i <= last; ++i) found.log.push_back(entry(i));
    const bool missing = shadow.recovered(found).has_value();
    return std::pair(missing, shadow.missed());
  };
  using Missed = std::optional<std::size_t>;
  EXPECT_EQ(missed(4), std::pair(false, Missed(0)));
  EXPECT_EQ(missed(3), std::pair(false, Missed(0)));
  EXPECT_EQ(missed(2), std::pair(true, Missed()));
  EXPECT_EQ(missed(1), std::pair(true, Missed(1)));
  EXPECT_EQ(missed(0), std::pair(true, Missed(2)));
}

// What was read back at a start is as much the newest sync as what was written since.
TEST(DurableShadow, KnowsTheNewestSyncThroughAStart) {
  DurableShadow shadow;
  shadow.submitted({AppendEntries{{entry(1)}}});
  shadow.synced(1);
  shadow.submitted({AppendEntries{{entry(2)}}});
  Recovered found;
  found.log = {entry(1), entry(2)};
  EXPECT_FALSE(shadow.recovered(found));
  EXPECT_EQ(shadow.newest_sync(), 2U);
  found.log.pop_back();
  EXPECT_TRUE(shadow.recovered(found));
  EXPECT_EQ(shadow.missed(), 1U);
}

TEST(Lies, ExcuseNothingWhereNothingWasWrong) {
  const Lies lies;
  EXPECT_FALSE(lies.damaged());
  EXPECT_FALSE(lies.log_damaged());
  EXPECT_FALSE(lies.may_miss(7, 1, true));
  EXPECT_FALSE(lies.may_miss_segment());
  EXPECT_FALSE(lies.may_save_without(7, 1));
}

TEST(Lies, ThatAreMisreadsExcuseOnlyWhatNoNumberOfReadsCouldMend) {
  Lies lies;
  for (unsigned i = 1; i < Lies::reads; ++i) {
    lies.misread();
    EXPECT_FALSE(lies.log_damaged());
    EXPECT_FALSE(lies.may_miss(7, 1, true));
  }
  lies.misread();
  EXPECT_TRUE(lies.log_damaged());
  EXPECT_TRUE(lies.may_miss(7, 1, false));
  EXPECT_FALSE(lies.may_miss(7, 2, false));
  lies.starts();
  EXPECT_FALSE(lies.log_damaged());
}

TEST(Lies, OfAWriteExcuseItsOwnSync) {
  Lies lies;
  lies.writes_for(6);
  lies.told(Lies::Kind::write);
  EXPECT_TRUE(lies.log_damaged());
  EXPECT_TRUE(lies.may_miss(6, 1, false));
  EXPECT_FALSE(lies.may_miss(6, 2, false)) << "the sync before it";
  EXPECT_FALSE(lies.may_miss(7, 1, false)) << "a later sync";
  EXPECT_FALSE(lies.may_miss(7, 2, false)) << "the later sync shows that it is missing";
  EXPECT_FALSE(lies.may_save_without(6, 1)) << "what else would be damaged?";
  lies.told(Lies::Kind::flip);
  EXPECT_TRUE(lies.may_save_without(6, 1));
  EXPECT_TRUE(lies.may_miss(7, 2, false));
}

TEST(Lies, OfABitExcuseTheNewestSyncIfItLooksTorn) {
  Lies lies;
  lies.told(Lies::Kind::flip);
  EXPECT_TRUE(lies.may_miss(7, 1, true));
  EXPECT_FALSE(lies.may_miss(7, 1, false));
  EXPECT_FALSE(lies.may_miss(7, 2, true));
}

TEST(Lies, OfAFileExcuseAMissingSegmentOnlyWithItsNote) {
  Lies lies;
  lies.lost_file("wal-0000000003");
  EXPECT_TRUE(lies.log_damaged());
  EXPECT_FALSE(lies.may_miss(7, 1, true));
  EXPECT_FALSE(lies.may_miss_segment());
  lies.lost_file("newest-0000000003");
  EXPECT_TRUE(lies.may_miss_segment());
}

TEST(Lies, AreOverWhenAllWasFoundIntact) {
  Lies lies;
  lies.told(Lies::Kind::state);
  EXPECT_TRUE(lies.state_lost());
  EXPECT_FALSE(lies.log_damaged());
  const auto mark = lies.mark();
  lies.told(Lies::Kind::flip);
  lies.forget(mark, true);
  EXPECT_FALSE(lies.state_lost());
  EXPECT_TRUE(lies.log_damaged()) << "this one came later";
}

TEST(Lies, OfSectorsLastUntilTheyAreMended) {
  Lies lies;
  lies.told(Lies::Kind::unreadable);
  EXPECT_TRUE(lies.damaged());
  EXPECT_FALSE(lies.log_damaged()) << "an error is told";
  EXPECT_FALSE(lies.may_miss(7, 1, true));
  lies.told(Lies::Kind::misplaced);
  EXPECT_TRUE(lies.may_miss(7, 1, false));
  EXPECT_FALSE(lies.may_miss(7, 2, false));
  lies.forget(lies.mark(), false);
  EXPECT_TRUE(lies.log_damaged());
  lies.forget(lies.mark(), true);
  EXPECT_FALSE(lies.damaged());
}

}  // namespace
}  // namespace quorate::sim
