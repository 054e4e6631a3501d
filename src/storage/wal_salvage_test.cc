// What is saved of a damaged log: all records or none, and the new log in its place.
#include <gmock/gmock.h>

#include "storage/crc32c.h"
#include "storage/wal_testing.h"

namespace quorate::storage {
namespace {

using namespace wal_testing;
using ::testing::HasSubstr;

constexpr KeyspaceId one(1);
using Records = std::map<RecordKey, Bytes>;

struct Written {
  std::unique_ptr<MemoryDisk> disk = std::make_unique<MemoryDisk>();
  std::vector<Model> after;            // after[n]: n batches
  std::vector<std::uint64_t> offsets;  // where batch n begins, from 1, in its segment
};

// Entries, with a vote in each batch whose number `votes` divides.
Written written(std::size_t batches, std::size_t payload, std::uint64_t votes) {
  Written result;
  Model model;
  result.after.push_back(model);
  auto wal = must_open(*result.disk).wal;
  std::uint64_t offset = 2 * wal::sector;  // behind the header and an empty checkpoint
  for (std::uint64_t i = 1; i <= batches; ++i) {
    Group group{one, {AppendEntries{{entry(i, std::string(payload, static_cast<char>('a' + i % 26)))}}}};
    if (i % votes == 0)
      group.writes.insert(group.writes.begin(), PutRecord{"vote", Bytes::copy(std::to_string(i))});
    wal->append(group.keyspace, group.writes);
    add_to(model, group);
    result.offsets.push_back(offset);
    offset += wal::round_up(wal::batch_header_bytes + wal->pending_bytes(), wal::sector);
    EXPECT_TRUE(wal->sync());
    result.after.push_back(model);
  }
  return result;
}

Records records_of(const Model& model) { return model.empty() ? Records{} : model.at(one).records; }

std::expected<Wal::Salvage, WalError> salvage(MemoryDisk& disk) {
  const auto opened = Wal::open(disk, small_config());
  EXPECT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, WalError::Kind::corrupt) << opened.error().what;
  return Wal::salvage(disk, small_config());
}

void flip(const Written& log, std::size_t batch, std::uint64_t at) {
  log.disk->flip_bit(segment_names(*log.disk).back(), log.offsets.at(batch - 1) + at, 3);
}

TEST(WalSalvage, ADamagedBodyWithoutARecordCostsNoRecord) {
  const auto log = written(9, 700, 4);
  flip(log, 6, 100);
  const auto saved = salvage(*log.disk);
  ASSERT_TRUE(saved) << saved.error().what;
  EXPECT_EQ(saved->records.at(one), records_of(log.after.back()));
}

TEST(WalSalvage, SoDoesADamagedHeaderWhereTheNextBatchKnows) {
  for (const std::uint64_t at : {2U, 10U, 18U, 26U, 34U, 44U}) {
    const auto log = written(9, 700, 5);
    flip(log, 7, at);
    const auto saved = salvage(*log.disk);
    ASSERT_TRUE(saved) << at << saved.error().what;
    EXPECT_EQ(saved->records.at(one).at("vote").view(), "5");
  }
}

TEST(WalSalvage, ABatchWithARecordIsMissed) {
  for (const std::uint64_t at : {10U, 100U}) {
    const auto log = written(9, 700, 5);
    flip(log, 5, at);
    const auto saved = salvage(*log.disk);
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().kind, WalError::Kind::corrupt);
    EXPECT_THAT(saved.error().what, HasSubstr("a damaged batch may have held a record"));
  }
}

TEST(WalSalvage, SeveralDamagedBatchesInARowArePassedOver) {
  const auto log = written(12, 700, 3);
  for (const std::size_t batch : {4U, 7U, 8U, 10U}) flip(log, batch, 10);
  const auto saved = salvage(*log.disk);
  ASSERT_TRUE(saved) << saved.error().what;
  EXPECT_EQ(saved->records.at(one), records_of(log.after.back()));
}

// One more than the counter of the batch behind them covers.
TEST(WalSalvage, ARowThatMayHoldARecordIsNot) {
  const auto log = written(12, 700, 3);
  for (const std::size_t batch : {6U, 7U}) flip(log, batch, 10);
  EXPECT_FALSE(salvage(*log.disk));
}

TEST(WalSalvage, ADamagedLastBatchOfOneSectorIsMissed) {
  auto log = written(5, 20, 9);
  flip(log, 5, 10);
  const auto saved = salvage(*log.disk);
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().what, HasSubstr("the last batch is damaged"));
  // Its own header, where that is intact, says what it held.
  log = written(5, 20, 9);
  flip(log, 5, wal::batch_header_bytes + 3);
  EXPECT_TRUE(salvage(*log.disk));
}

// Nobody knows what stood behind the end: no torn write makes a file shorter.
TEST(WalSalvage, AFileThatWasCutShortMissesARecord) {
  const auto log = written(9, 700, 5);
  const auto name = segment_names(*log.disk).back();
  const auto whole = log.disk->contents(name);
  for (const std::size_t batch : {5U, 6U, 8U, 9U}) {
    for (const std::uint64_t kept : {0U, 300U, 600U}) {
      log.disk->set_contents(name, whole.substr(0, log.offsets.at(batch - 1) + kept));
      const auto saved = salvage(*log.disk);
      ASSERT_FALSE(saved) << batch << " " << kept;
      EXPECT_THAT(saved.error().what, HasSubstr("cut short"));
    }
  }
}

TEST(WalSalvage, EarlierSegmentsHoldNoRecordOfTheirOwn) {
  auto log = written(40, 1500, 7);
  ASSERT_GT(segment_names(*log.disk).size(), 3U);
  ASSERT_TRUE(log.disk->remove("wal-0000000002"));
  const auto saved = salvage(*log.disk);
  ASSERT_TRUE(saved) << saved.error().what;
  EXPECT_EQ(saved->records.at(one).at("vote").view(), "35");
}

// Every byte of every segment: all records, those before the last batch where that looks torn, or none.
TEST(WalSalvage, NoByteMakesItForgetARecord) {
  for (const std::uint64_t votes : {1U, 2U, 5U, 100U}) {
    const auto log = written(30, 900, votes);
    const auto expected = records_of(log.after.back());
    std::size_t saved_whole = 0;
    std::size_t missed = 0;
    for (const auto& name : segment_names(*log.disk)) {
      const auto size = log.disk->contents(name).size();
      for (std::uint64_t offset = 0; offset < size; offset += 5) {
        auto disk = log.disk->clone();
        disk->flip_bit(name, offset, static_cast<unsigned>(offset / 5 % 8));
        if (Wal::open(*disk, small_config())) continue;
        const auto saved = Wal::salvage(*disk, small_config());
        if (!saved) {
          ++missed;
          continue;
        }
        ++saved_whole;
        const auto found = saved->records.contains(one) ? saved->records.at(one) : Records{};
        ASSERT_EQ(found, expected) << votes << " " << name << " " << offset;
      }
    }
    EXPECT_GT(saved_whole, 1000U) << votes;
    EXPECT_GT(missed, 10U) << votes;
  }
}

// Two places at once, among them missing writes; again all or none.
TEST(WalSalvage, NorDoSeveralPlacesAtOnce) {
  Rng rng(3);
  std::size_t saved_whole = 0;
  for (int round = 0; round < 3000; ++round) {
    const auto votes = rng.between(1, 9);
    static std::map<std::uint64_t, Written> logs;
    if (!logs.contains(votes)) logs.emplace(votes, written(24, 600, votes));
    const auto& log = logs.at(votes);
    auto disk = log.disk->clone();
    const auto names = segment_names(*disk);
    for (auto places = rng.between(1, 4); places > 0; --places) {
      const auto& name = names[rng.below(names.size())];
      auto bytes = disk->contents(name);
      const auto sector = rng.below(bytes.size() / wal::sector) * wal::sector;
      const auto source = rng.below(bytes.size() / wal::sector) * wal::sector;
      if (rng.chance(0.5)) {
        bytes.replace(sector, wal::sector, std::string(wal::sector, '\0'));
      } else {
        bytes.replace(sector, wal::sector, bytes, source, wal::sector);
      }
      disk->set_contents(name, bytes);
    }
    if (Wal::open(*disk, small_config())) continue;
    const auto saved = Wal::salvage(*disk, small_config());
    if (!saved) continue;
    ++saved_whole;
    // A last batch of which a sector is missing can not be told from one that never was durable.
    const auto found = saved->records.contains(one) ? saved->records.at(one) : Records{};
    const bool all = found == records_of(log.after.back());
    const bool but_the_last = found == records_of(log.after[log.after.size() - 2]);
    ASSERT_TRUE(all || but_the_last) << round;
  }
  EXPECT_GT(saved_whole, 500U);
}

TEST(WalSalvage, ALogOfTheFirstFormatSaysNothing) {
  auto log = written(9, 700, 4);
  const auto name = segment_names(*log.disk).back();
  auto bytes = log.disk->contents(name);
  auto header = *wal::decode_segment_header(bytes, name);
  header.version = 1;
  wal::encode(header, bytes.data());
  const wal::Identity identity{small_config().cluster, small_config().node};
  std::uint64_t number = 2;
  for (const auto offset : log.offsets) {
    auto found = wal::find_batch_header(std::string_view(bytes).substr(offset), identity, 1, offset, number);
    ASSERT_EQ(found.standing, wal::Standing::valid) << number;
    found.header.plain = {};
    wal::encode(found.header, identity, bytes.data() + offset);
    ++number;
  }
  log.disk->set_contents(name, bytes);
  auto whole = log.disk->clone();
  flip(log, 6, 100);
  EXPECT_FALSE(salvage(*log.disk));

  // It is read as ever, and what follows goes to a segment of the present format.
  auto opened = must_open(*whole);
  EXPECT_EQ(difference(log.after.back(), opened.keyspaces), "");
  opened.wal->append(one, std::vector<Write>{AppendEntries{{entry(10, "x")}}});
  ASSERT_TRUE(opened.wal->sync());
  EXPECT_EQ(segment_names(*whole).size(), 2U);
  EXPECT_EQ(must_open(*whole).keyspaces.at(one).log.back().index, Index(10));
}

TEST(WalSalvage, TheLogOfAnotherNodeIsLeftAlone) {
  auto log = written(9, 700, 4);
  flip(log, 6, 100);
  auto config = small_config();
  config.node = NodeId(9);
  EXPECT_FALSE(Wal::salvage(*log.disk, config));
}

// The new log.

std::map<KeyspaceId, std::vector<Write>> contents() {
  return {{one, {PutRecord{"vote", Bytes::copy("9")}, SnapshotTaken{snapshot_meta(5)}}}};
}

bool is_new(const Wal::Opened& opened) {
  const auto& found = opened.keyspaces.at(one);
  return found.log.empty() && found.snapshot == snapshot_meta(5) && found.records.at("vote").view() == "9";
}

TEST(WalSalvage, ANewLogTakesTheDamagedOnesPlace) {
  auto log = written(40, 1500, 7);
  ASSERT_TRUE(log.disk->remove("wal-0000000002"));
  const auto names = segment_names(*log.disk);
  const auto saved = salvage(*log.disk);
  ASSERT_TRUE(saved);
  const auto begun = Wal::begin_anew(*log.disk, small_config(), *saved, contents());
  ASSERT_TRUE(begun) << begun.error().what;
  auto opened = must_open(*log.disk);
  EXPECT_TRUE(is_new(opened));
  for (const auto& name : names) {
    EXPECT_TRUE(log.disk->exists(wal::damaged_name(*wal::parse_segment_name(name)))) << name;
  }
  for (std::uint64_t i = 6; i < 60; ++i) {
    opened.wal->append(one, std::vector<Write>{AppendEntries{{entry(i, std::string(1500, 'n'))}}});
    ASSERT_TRUE(opened.wal->sync());
  }
  EXPECT_EQ(must_open(*log.disk).keyspaces.at(one).log.back().index, Index(59));
}

TEST(WalSalvage, PowerMayGoAtAnyAccessMeanwhile) {
  auto log = written(40, 1500, 7);
  ASSERT_TRUE(log.disk->remove("wal-0000000002"));
  std::size_t old = 0;
  std::size_t anew = 0;
  for (std::uint64_t cut = 1;; ++cut) {
    auto disk = log.disk->clone();
    const auto saved = salvage(*disk);
    ASSERT_TRUE(saved);
    const auto target = disk->accesses() + cut;
    disk->set_hook([target](const MemoryDisk::Access& access) {
      return MemoryDisk::Fault{access.number == target ? MemoryDisk::FaultKind::power_cut
                                                       : MemoryDisk::FaultKind::none};
    });
    const bool done = Wal::begin_anew(*disk, small_config(), *saved, contents()).has_value();
    disk->set_hook({});
    if (done) break;
    Rng rng(cut);
    disk->crash(rng);
    const auto opened = Wal::open(*disk, small_config());
    if (opened) {
      ++anew;
      EXPECT_TRUE(is_new(*opened)) << cut;
    } else {
      ++old;
      EXPECT_TRUE(Wal::salvage(*disk, small_config())) << cut;
    }
  }
  EXPECT_GT(old, 3U);
  EXPECT_GT(anew, 3U);
}

}  // namespace
}  // namespace quorate::storage
