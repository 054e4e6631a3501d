#include "storage/memory_disk.h"

#include <set>

#include <gmock/gmock.h>

namespace quorate::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Fault = MemoryDisk::Fault;
using Kind = MemoryDisk::FaultKind;
using Operation = MemoryDisk::Operation;

void on(MemoryDisk& disk, Operation operation, Fault fault) {
  disk.set_hook(
      [=](const MemoryDisk::Access& access) { return access.operation == operation ? fault : Fault{}; });
}

// A durable file of two sectors of 'a'.
std::unique_ptr<File> durable_file(MemoryDisk& disk) {
  auto file = disk.create("f").value();
  EXPECT_TRUE(file->write(0, std::string(1024, 'a')));
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(disk.sync_directory());
  return file;
}

TEST(MemoryDisk, KeepsWhatWasSyncedThroughEveryCrash) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    MemoryDisk disk;
    Rng rng(seed);
    durable_file(disk);
    disk.crash(rng);
    EXPECT_EQ(disk.contents("f"), std::string(1024, 'a'));
  }
}

TEST(MemoryDisk, MayLoseTearOrKeepUnsyncedWritesSectorBySector) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    MemoryDisk disk;
    Rng rng(seed);
    auto file = durable_file(disk);
    ASSERT_TRUE(file->write(0, std::string(1024, 'b')));
    EXPECT_EQ(file->read(0, 1), "b");
    disk.crash(rng);
    const auto bytes = disk.contents("f");
    for (const std::size_t sector : {0U, 512U}) {
      EXPECT_EQ(bytes.substr(sector, 512), std::string(512, bytes[sector])) << "a sector is whole";
    }
    outcomes.insert({bytes[0], bytes[512]});
  }
  EXPECT_THAT(outcomes, ElementsAre("aa", "ab", "ba", "bb"));
}

TEST(MemoryDisk, MayLoseNamesThatWereNotSynced) {
  std::set<std::vector<std::string>> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    MemoryDisk disk;
    Rng rng(seed);
    durable_file(disk);
    ASSERT_TRUE(disk.rename("f", "g"));
    ASSERT_TRUE(disk.create("h"));
    disk.crash(rng);
    outcomes.insert(disk.list().value());
  }
  EXPECT_THAT(outcomes,
              ElementsAre(ElementsAre("f"), ElementsAre("f", "h"), ElementsAre("g"), ElementsAre("g", "h")));
}

TEST(MemoryDisk, HasSectorsThatStayBadUntilTheyAreWritten) {
  MemoryDisk disk;
  Rng rng(1);
  auto file = durable_file(disk);
  ASSERT_TRUE(file->write(512, std::string(512, 'b')));
  ASSERT_TRUE(file->sync());
  disk.spoil("f", 5, 600);
  EXPECT_TRUE(disk.spoiled());
  EXPECT_EQ(file->read(510, 4), "bbbb") << "another sector is read in its place";
  EXPECT_EQ(file->read(512, 2), "bb");
  disk.crash(rng);
  file = disk.open("f").value();
  EXPECT_EQ(file->read(0, 512), std::string(512, 'b')) << "still";
  EXPECT_EQ(disk.contents("f").substr(0, 512), std::string(512, 'a'));
  ASSERT_TRUE(file->write(0, std::string(512, 'c')));
  EXPECT_FALSE(disk.spoiled());
  EXPECT_EQ(file->read(511, 2), "cb");

  disk.spoil("f", 512);
  EXPECT_EQ(file->read(0, 512), std::string(512, 'c'));
  EXPECT_FALSE(file->read(0, 513));
  EXPECT_FALSE(file->read(1023, 1));
  ASSERT_TRUE(file->truncate(512));
  EXPECT_FALSE(disk.spoiled());
}

TEST(MemoryDisk, LosesNamesInAFailedSyncOfTheDirectoryThatThenLooksClean) {
  MemoryDisk disk;
  Rng rng(1);
  durable_file(disk);
  ASSERT_TRUE(disk.rename("f", "g"));
  on(disk, Operation::sync_directory, {Kind::failed_sync, 0});
  EXPECT_FALSE(disk.sync_directory());
  disk.set_hook({});
  EXPECT_TRUE(disk.sync_directory());
  EXPECT_THAT(disk.list().value(), ElementsAre("g"));
  disk.crash(rng, MemoryDisk::Survival::all);
  EXPECT_THAT(disk.list().value(), ElementsAre("f"));

  ASSERT_TRUE(disk.rename("f", "g"));
  on(disk, Operation::sync_directory, {Kind::failed_sync, 0});
  EXPECT_FALSE(disk.sync_directory());
  disk.set_hook({});
  ASSERT_TRUE(disk.create("h"));
  EXPECT_TRUE(disk.sync_directory()) << "with all that stands in the directory";
  disk.crash(rng, MemoryDisk::Survival::none);
  EXPECT_THAT(disk.list().value(), ElementsAre("g", "h"));
}

// Three sectors in one write, over many crashes: what is kept of them, as three letters.
std::set<std::string> kept_sectors(MemoryDisk::Survival survival) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    MemoryDisk disk;
    auto file = durable_file(disk);
    EXPECT_TRUE(file->allocate(3 * MemoryDisk::sector));
    EXPECT_TRUE(file->sync());
    EXPECT_TRUE(file->write(0, std::string(3 * MemoryDisk::sector, 'x')));
    Rng rng(seed);
    disk.crash(rng, survival);
    const std::string bytes = disk.contents("f");
    std::string kept;
    for (std::size_t i = 0; i < 3; ++i) kept += bytes[i * MemoryDisk::sector] == 'x' ? 'x' : '.';
    seen.insert(kept);
  }
  return seen;
}

TEST(MemoryDisk, TearsAWriteAtEverySector) {
  EXPECT_EQ(kept_sectors(MemoryDisk::Survival::torn), (std::set<std::string>{"...", "x..", "xx.", "xxx"}));
}

TEST(MemoryDisk, KeepsAnySectorsOfAWriteThatWasNotSynced) {
  EXPECT_EQ(kept_sectors(MemoryDisk::Survival::reordered).size(), 8U);
}

TEST(MemoryDisk, CanLoseOrKeepEverything) {
  for (const auto survival : {MemoryDisk::Survival::none, MemoryDisk::Survival::all}) {
    MemoryDisk disk;
    Rng rng(1);
    auto file = durable_file(disk);
    ASSERT_TRUE(file->write(100, "new"));
    ASSERT_TRUE(file->truncate(200));
    ASSERT_TRUE(disk.remove("f"));
    ASSERT_TRUE(disk.create("g"));
    disk.crash(rng, survival);
    EXPECT_EQ(disk.exists("f"), survival == MemoryDisk::Survival::none);
    EXPECT_EQ(disk.exists("g"), survival == MemoryDisk::Survival::all);
    EXPECT_TRUE(!disk.exists("f") || disk.contents("f") == std::string(1024, 'a'));
  }
}

TEST(MemoryDisk, AFailedSyncLooksCleanAndIsLost) {
  MemoryDisk disk;
  Rng rng(1);
  auto file = durable_file(disk);
  ASSERT_TRUE(file->write(0, "b"));
  on(disk, Operation::sync, {Kind::failed_sync});
  EXPECT_FALSE(disk.shows_unwritten());
  EXPECT_EQ(file->sync().error().kind, IoErrorKind::failed_sync);
  EXPECT_TRUE(disk.shows_unwritten());
  disk.set_hook({});
  EXPECT_TRUE(file->sync()) << "the second attempt lies";
  EXPECT_EQ(file->read(0, 1), "b");
  disk.crash(rng, MemoryDisk::Survival::all);
  EXPECT_EQ(disk.contents("f")[0], 'a');
}

TEST(MemoryDisk, AProcessThatDiesLeavesTheCacheAndMakesNothingDurable) {
  MemoryDisk disk;
  Rng rng(1);
  auto file = durable_file(disk);
  ASSERT_TRUE(file->write(0, "b"));
  disk.crash(rng, MemoryDisk::Survival::cached);
  EXPECT_FALSE(file->read(0, 1)) << "the process that opened it is dead";
  file = *disk.open("f");
  EXPECT_EQ(file->read(0, 1), "b");
  disk.crash(rng, MemoryDisk::Survival::none);
  EXPECT_EQ(disk.contents("f")[0], 'a');
}

TEST(MemoryDisk, NothingIsCachedThroughAPowerCut) {
  MemoryDisk disk;
  Rng rng(1);
  auto file = durable_file(disk);
  on(disk, Operation::sync, {Kind::power_cut});
  EXPECT_FALSE(file->sync());
  disk.set_hook({});
  disk.crash(rng, MemoryDisk::Survival::cached);
  EXPECT_TRUE(disk.open("f"));
}

TEST(MemoryDisk, FillsUp) {
  MemoryDisk disk;
  auto file = durable_file(disk);
  disk.set_capacity(1100);
  EXPECT_TRUE(file->write(0, std::string(1024, 'c'))) << "overwriting needs no space";
  EXPECT_EQ(file->write(1024, std::string(100, 'c')).error().kind, IoErrorKind::full);
  EXPECT_EQ(file->allocate(2000).error().kind, IoErrorKind::full);
  EXPECT_TRUE(file->allocate(1100));
}

TEST(MemoryDisk, Lies) {
  MemoryDisk disk;
  auto file = durable_file(disk);
  on(disk, Operation::read, {Kind::flipped, 9});
  EXPECT_EQ(file->read(0, 2), "ac");
  on(disk, Operation::write, {Kind::flipped, 1});
  ASSERT_TRUE(file->write(0, "a"));
  on(disk, Operation::write, {Kind::lost});
  ASSERT_TRUE(file->write(1, "z"));
  on(disk, Operation::write, {Kind::misdirected, 100});
  ASSERT_TRUE(file->write(2, "m"));
  disk.set_hook({});
  EXPECT_EQ(file->read(0, 3), "caa");
  EXPECT_EQ(file->read(102, 1), "m");
  ASSERT_TRUE(file->write(102, "n"));
  on(disk, Operation::read, {Kind::stale});
  EXPECT_EQ(file->read(102, 1), "m");
  on(disk, Operation::read, {Kind::misdirected, 102});
  EXPECT_EQ(file->read(0, 1), "n");
  on(disk, Operation::read, {Kind::io_error});
  EXPECT_FALSE(file->read(0, 1));
}

TEST(MemoryDisk, APowerCutStopsEverythingUntilTheCrash) {
  MemoryDisk disk;
  Rng rng(1);
  auto file = durable_file(disk);
  on(disk, Operation::write, {Kind::power_cut});
  EXPECT_FALSE(file->write(0, "b"));
  disk.set_hook({});
  EXPECT_FALSE(file->read(0, 1));
  EXPECT_FALSE(disk.list());
  disk.crash(rng, MemoryDisk::Survival::all);
  EXPECT_FALSE(file->read(0, 1)) << "its process is dead";
  EXPECT_EQ(disk.contents("f")[0], 'b') << "the write was under way";
}

TEST(MemoryDisk, DamageAndCopiesForTests) {
  MemoryDisk disk;
  durable_file(disk);
  disk.flip_bit("f", 3, 1);
  auto twin = disk.clone();
  disk.set_contents("f", "other");
  EXPECT_EQ(twin->contents("f").substr(0, 5), "aaaca");
  Rng rng(1);
  disk.crash(rng, MemoryDisk::Survival::none);
  EXPECT_EQ(disk.contents("f"), "other");
}

}  // namespace
}  // namespace quorate::storage
