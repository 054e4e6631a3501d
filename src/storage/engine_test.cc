// One set of tests for both engines, so that what holds in the simulator holds in the server.
#include "storage/engine.h"

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <unistd.h>

#include "core/rng.h"
#include "storage/memory_engine.h"
#include "storage/rocks_engine.h"
#include "storage/transaction.h"

namespace quorate::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Table table_a{1};
constexpr Table table_b{7};

struct MemoryKind {
  std::unique_ptr<EngineHome> home = std::make_unique<MemoryHome>();
  void reopen() {}
};

struct RocksKind {
  std::string path = [] {
    std::string name = ::testing::TempDir() + "quorate-state-XXXXXX";
    return std::string(::mkdtemp(name.data()));
  }();
  std::unique_ptr<EngineHome> home = std::make_unique<RocksHome>(path);
  void reopen() { home = std::make_unique<RocksHome>(path); }
  RocksKind() = default;
  RocksKind(const RocksKind&) = delete;
  RocksKind& operator=(const RocksKind&) = delete;
  ~RocksKind() {
    home.reset();
    std::filesystem::remove_all(path);
  }
};

template <class Kind>
class EngineTest : public ::testing::Test {
 protected:
  std::unique_ptr<Engine> live() {
    auto engine = kind_.home->open_live();
    EXPECT_TRUE(engine) << engine.error().what;
    return std::move(*engine);
  }
  EngineHome& home() { return *kind_.home; }
  Kind kind_;
};
using Kinds = ::testing::Types<MemoryKind, RocksKind>;
TYPED_TEST_SUITE(EngineTest, Kinds);

std::string text(const Reader& reader, Table table, std::string_view key) {
  std::string value;
  return reader.get(table, key, value) ? value : "-";
}

std::vector<std::string> keys(const Reader& reader, Table table) {
  std::vector<std::string> out;
  auto cursor = reader.cursor(table);
  for (cursor->seek(""); cursor->valid(); cursor->next()) out.emplace_back(cursor->key());
  return out;
}

void put(Engine& engine, Table table, std::string key, std::string value) {
  Batch batch;
  batch.put(table, std::move(key), std::move(value));
  engine.write(batch);
}

// A whole state, as received.
void stage(EngineHome& home, std::string key, std::string value) {
  auto staging = home.create_staging().value();
  put(*staging, table_a, std::move(key), std::move(value));
  ASSERT_TRUE(staging->flush());
}

TYPED_TEST(EngineTest, AppliesABatchInOrder) {
  auto engine = this->live();
  Batch batch;
  batch.put(table_a, "k", "1");
  batch.erase(table_a, "k");
  batch.put(table_a, "k", "2");
  batch.put(table_b, "k", "other table");
  batch.put(table_a, "gone", "x");
  batch.erase(table_a, "gone");
  batch.erase(table_a, "never there");
  engine->write(batch);
  EXPECT_EQ(text(*engine, table_a, "k"), "2");
  EXPECT_EQ(text(*engine, table_b, "k"), "other table");
  EXPECT_EQ(text(*engine, table_a, "gone"), "-");
  EXPECT_EQ(text(*engine, Table::system, "k"), "-");
}

TYPED_TEST(EngineTest, CursorsGoBothWaysInByteOrder) {
  auto engine = this->live();
  for (const std::string key : {"b", "", "a", "\xff", "ab"}) put(*engine, table_a, key, "v" + key);
  put(*engine, table_a, std::string("a\0", 2), "zero");
  EXPECT_THAT(keys(*engine, table_a), ElementsAre("", "a", std::string("a\0", 2), "ab", "b", "\xff"));
  auto cursor = engine->cursor(table_a);
  EXPECT_FALSE(cursor->valid());
  cursor->seek("aa");
  EXPECT_EQ(cursor->key(), "ab");
  EXPECT_EQ(cursor->value(), "vab");
  cursor->prev();
  EXPECT_EQ(cursor->key(), std::string_view("a\0", 2));
  cursor->next();
  cursor->next();
  EXPECT_EQ(cursor->key(), "b");
  cursor->seek_last("aa");
  EXPECT_EQ(cursor->key(), std::string_view("a\0", 2));
  cursor->seek_last("b");
  EXPECT_EQ(cursor->key(), "b");
  cursor->seek_last("");
  EXPECT_EQ(cursor->key(), "");
  cursor->prev();
  EXPECT_FALSE(cursor->valid());
  cursor->seek("\xff\xff");
  EXPECT_FALSE(cursor->valid());
}

TYPED_TEST(EngineTest, SnapshotsDoNotSeeLaterWrites) {
  auto engine = this->live();
  put(*engine, table_a, "k", "old");
  auto snapshot = engine->snapshot();
  auto cursor = snapshot->cursor(table_a);
  put(*engine, table_a, "k", "new");
  put(*engine, table_a, "l", "more");
  EXPECT_EQ(text(*snapshot, table_a, "k"), "old");
  EXPECT_THAT(keys(*snapshot, table_a), ElementsAre("k"));
  cursor->seek("");
  EXPECT_EQ(cursor->value(), "old");
  EXPECT_EQ(text(*engine, table_a, "k"), "new");
  engine.reset();
  EXPECT_EQ(text(*snapshot, table_a, "k"), "old") << "it outlives its engine";
}

TYPED_TEST(EngineTest, ASnapshotIsReadOnAnotherThread) {
  auto engine = this->live();
  for (int i = 0; i < 100; ++i) put(*engine, table_a, "k" + std::to_string(i), "x");
  auto snapshot = engine->snapshot();
  std::size_t seen = 0;
  std::thread reader([&] { seen = keys(*snapshot, table_a).size(); });
  for (int i = 0; i < 100; ++i) put(*engine, table_a, "l" + std::to_string(i), "x");
  EXPECT_TRUE(engine->flush());
  reader.join();
  EXPECT_EQ(seen, 100U);
}

TYPED_TEST(EngineTest, KeepsWhatWasFlushed) {
  {
    auto engine = this->live();
    put(*engine, table_a, "k", "v");
    put(*engine, Table::system, "applied", "1");
    EXPECT_TRUE(engine->flush());
    EXPECT_GT(engine->bytes_in_use() + engine->bytes_on_disk(), 0U);
  }
  this->kind_.reopen();
  auto engine = this->live();
  EXPECT_EQ(text(*engine, table_a, "k"), "v");
  EXPECT_EQ(text(*engine, Table::system, "applied"), "1");
}

TYPED_TEST(EngineTest, StagingReplacesLive) {
  EXPECT_EQ(this->home().open_staging().error().kind, IoErrorKind::not_found);
  {
    auto live = this->live();
    put(*live, table_a, "k", "live");
    auto staging = this->home().create_staging().value();
    put(*staging, table_a, "k", "staged");
    EXPECT_EQ(text(*live, table_a, "k"), "live");
    ASSERT_TRUE(staging->flush());
    EXPECT_FALSE(this->home().promote_staging()) << "engines are open";
  }
  this->kind_.reopen();
  EXPECT_EQ(text(*this->home().open_staging().value(), table_a, "k"), "staged");
  ASSERT_TRUE(this->home().promote_staging());
  EXPECT_EQ(text(*this->live(), table_a, "k"), "staged");
  EXPECT_EQ(this->home().open_staging().error().kind, IoErrorKind::not_found);
  EXPECT_EQ(this->home().promote_staging().error().kind, IoErrorKind::not_found);
}

TYPED_TEST(EngineTest, ReadersOfTheOldStateOutliveItsReplacement) {
  auto live = this->live();
  for (int i = 0; i < 200; ++i) put(*live, table_a, "key" + std::to_string(1000 + i), "old");
  auto pinned = live->snapshot();
  auto cursor = pinned->cursor(table_a);
  live.reset();
  for (const char* content : {"new", "newest"}) {
    stage(this->home(), "k", content);
    ASSERT_TRUE(this->home().promote_staging());
    auto replaced = this->live();
    EXPECT_EQ(text(*replaced, table_a, "k"), content);
    EXPECT_EQ(text(*pinned, table_a, "key1007"), "old");
    EXPECT_THAT(keys(*pinned, table_a), ::testing::SizeIs(200));
    cursor->seek("key1199");
    EXPECT_TRUE(cursor->valid());
  }
  pinned.reset();
  cursor.reset();
  this->kind_.reopen();
  EXPECT_EQ(text(*this->live(), table_a, "k"), "newest");
}

TYPED_TEST(EngineTest, CompactionKeepsWhatIsThereAndOutlivesTheEngine) {
  auto live = this->live();
  Rng rng(1);
  for (int i = 0; i < 100; ++i) {
    std::string value(1000, ' ');
    for (char& c : value) c = static_cast<char>(rng.below(256));  // no compression makes it smaller
    put(*live, table_a, "key" + std::to_string(i), value);
  }
  ASSERT_TRUE(live->flush());
  EXPECT_GT(live->bytes_on_disk(), 90'000U);
  Batch gone;
  for (int i = 1; i < 100; ++i) gone.erase(table_a, "key" + std::to_string(i));
  live->write(gone);
  ASSERT_TRUE(live->flush());
  std::atomic<bool> cancel{false};
  ASSERT_TRUE(live->compaction()(cancel));
  EXPECT_THAT(keys(*live, table_a), ElementsAre("key0"));
  EXPECT_LT(live->bytes_on_disk(), 20'000U);
  const auto later = live->compaction();
  live.reset();
  EXPECT_TRUE(later(cancel));
}

TYPED_TEST(EngineTest, ANewStagingIsEmptyAndMayBeDropped) {
  put(*this->home().create_staging().value(), table_a, "k", "first");
  EXPECT_THAT(keys(*this->home().create_staging().value(), table_a), IsEmpty());
  this->home().discard_staging();
  EXPECT_EQ(this->home().open_staging().error().kind, IoErrorKind::not_found);
  this->home().discard_staging();
}

// Engine, transaction over it, and a plain map must agree on everything, at every step of a random walk.
TYPED_TEST(EngineTest, AgreesWithAMap) {
  auto engine = this->live();
  using Map = std::map<std::string, std::string, std::less<>>;
  std::map<Table, Map> model;
  Rng rng(42);
  const auto random_key = [&] {
    std::string key(rng.below(4), '\0');
    for (auto& c : key) c = "ab\xff"[rng.below(4)];
    return key;
  };
  const auto compare = [&](const Reader& reader, Table table) {
    const Map& map = model[table];
    const std::string key = random_key();
    std::string value;
    const auto known = map.find(key);
    ASSERT_EQ(reader.get(table, key, value), known != map.end());
    ASSERT_TRUE(known == map.end() || value == known->second);
    auto cursor = reader.cursor(table);
    auto at = rng.chance(0.5) ? map.lower_bound(key) : map.upper_bound(key);
    const bool last = rng.chance(0.5);
    if (last) {
      at = map.upper_bound(key);
      at = at == map.begin() ? map.end() : std::prev(at);
      cursor->seek_last(key);
    } else {
      at = map.lower_bound(key);
      cursor->seek(key);
    }
    for (int step = 0; step < 12; ++step) {
      ASSERT_EQ(cursor->valid(), at != map.end());
      if (!cursor->valid()) return;
      ASSERT_EQ(cursor->key(), at->first);
      ASSERT_EQ(cursor->value(), at->second);
      if (rng.chance(0.5)) {
        cursor->next();
        ++at;
      } else {
        cursor->prev();
        at = at == map.begin() ? map.end() : std::prev(at);
      }
    }
  };
  for (int round = 0; round < 600; ++round) {
    Transaction txn(*engine);
    for (auto n = rng.below(8); n > 0; --n) {
      const Table table = rng.chance(0.5) ? table_a : table_b;
      const std::string key = random_key();
      if (rng.chance(0.6)) {
        const std::string value = std::to_string(rng.below(100));
        txn.put(table, key, value);
        model[table][key] = value;
      } else {
        txn.erase(table, key);
        model[table].erase(key);
      }
      compare(txn, table);
      if (this->HasFatalFailure()) return;
    }
    compare(*engine, table_a);
    compare(*engine->snapshot(), table_b);
    if (this->HasFatalFailure()) return;
    ASSERT_TRUE(!rng.chance(0.02) || engine->flush().has_value());
  }
}

// What the simulator's crash keeps.
TEST(MemoryHome, ACrashForgetsWhatWasNotFlushed) {
  MemoryHome home;
  auto engine = home.open_live().value();
  put(*engine, table_a, "flushed", "v");
  ASSERT_TRUE(engine->flush());
  put(*engine, table_a, "flushed", "changed");
  put(*engine, table_a, "volatile", "v");
  auto staging = home.create_staging().value();
  put(*staging, table_a, "half", "received");
  home.crash();
  put(*engine, table_a, "ghost", "of the dead process");
  ASSERT_TRUE(engine->flush());
  auto revived = home.open_live().value();
  EXPECT_THAT(keys(*revived, table_a), ElementsAre("flushed"));
  EXPECT_EQ(text(*revived, table_a, "flushed"), "v");
  EXPECT_THAT(keys(*home.open_staging().value(), table_a), IsEmpty());
}

// The files as a kill would leave them: copied while the database is open.
TEST(RocksHome, AKilledProcessKeepsWhatWasFlushed) {
  RocksKind kind;
  const std::string copy = kind.path + "-copy";
  {
    auto engine = kind.home->open_live().value();
    put(*engine, table_a, "flushed", "v");
    put(*engine, table_b, "flushed", "v");
    ASSERT_TRUE(engine->flush());
    put(*engine, table_a, "volatile", "v");
    std::filesystem::copy(kind.path, copy, std::filesystem::copy_options::recursive);
  }
  {
    RocksHome home(copy);
    auto engine = home.open_live().value();
    EXPECT_THAT(keys(*engine, table_a), ElementsAre("flushed"));
    EXPECT_THAT(keys(*engine, table_b), ElementsAre("flushed"));
  }
  std::filesystem::remove_all(copy);
}

// The states of the directories that a crash can leave behind within and after promote_staging().
TEST(RocksHome, APromotionSurvivesACrashAtEveryStep) {
  namespace fs = std::filesystem;
  for (int step = 0; step < 4; ++step) {
    RocksKind kind;
    {
      auto live = kind.home->open_live().value();
      put(*live, table_a, "k", "old");
      ASSERT_TRUE(live->flush());
    }
    stage(*kind.home, "k", "new");
    const fs::path path(kind.path);
    if (step >= 1) fs::rename(path / "staging", path / "live-2");
    if (step == 2) fs::remove(path / "live-1" / "CURRENT");
    if (step == 3) fs::remove_all(path / "live-1");
    kind.reopen();
    EXPECT_EQ(text(*kind.home->open_live().value(), table_a, "k"), step == 0 ? "old" : "new") << step;
    EXPECT_EQ(fs::exists(path / "live-1"), step == 0);
    EXPECT_EQ(kind.home->open_staging().has_value(), step == 0);
  }
}

TEST(RocksHome, TheReplacedStateGoesWithItsLastReader) {
  namespace fs = std::filesystem;
  RocksKind kind;
  auto live = kind.home->open_live().value();
  put(*live, table_a, "k", "old");
  auto pinned = live->snapshot();
  live.reset();
  stage(*kind.home, "k", "new");
  ASSERT_TRUE(kind.home->promote_staging());
  live = kind.home->open_live().value();
  EXPECT_TRUE(fs::exists(kind.path + "/live-1"));
  pinned.reset();
  EXPECT_FALSE(fs::exists(kind.path + "/live-1"));
  EXPECT_EQ(text(*live, table_a, "k"), "new");
}

TEST(RocksHome, ADamagedDatabaseIsAnErrorThatNamesIt) {
  RocksKind kind;
  put(*kind.home->open_live().value(), table_a, "k", "v");
  std::filesystem::resize_file(kind.path + "/live-1/CURRENT", 0);
  const auto opened = kind.home->open_live();
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().what, ::testing::HasSubstr(kind.path + "/live-1"));
  EXPECT_EQ(opened.error().kind, IoErrorKind::corrupt);
  ASSERT_TRUE(kind.home->set_aside_live());
  EXPECT_TRUE(std::filesystem::exists(kind.path + "/damaged/CURRENT"));
  EXPECT_THAT(keys(*kind.home->open_live().value(), table_a), IsEmpty());
}

// A repair that was cut short begins again: it finds the state that the first attempt began.
TEST(RocksHome, WhatWasSetAsideIsKeptUntilAStateWithSomethingInItIs) {
  namespace fs = std::filesystem;
  RocksKind kind;
  const auto fill = [&kind](const char* value) {
    auto engine = kind.home->open_live().value();
    put(*engine, table_a, "k", value);
    ASSERT_TRUE(engine->flush());
  };
  const auto evidence = [&kind] {  // by a look at a copy
    const RocksKind look;
    fs::copy(kind.path + "/damaged", look.path + "/live-1", fs::copy_options::recursive);
    return text(*look.home->open_live().value(), table_a, "k");
  };
  fill("first");
  ASSERT_TRUE(kind.home->set_aside_live());
  EXPECT_EQ(evidence(), "first");
  ASSERT_TRUE(kind.home->set_aside_live());  // there is none
  EXPECT_EQ(evidence(), "first");
  ASSERT_TRUE(kind.home->open_live());
  ASSERT_TRUE(kind.home->set_aside_live());  // it is empty
  EXPECT_EQ(evidence(), "first");
  EXPECT_THAT(keys(*kind.home->open_live().value(), table_a), IsEmpty());
  fill("second");
  ASSERT_TRUE(kind.home->set_aside_live());
  EXPECT_EQ(evidence(), "second");
}

// A block of a table that nobody reads at the start.
TEST(RocksHome, DamageFoundAtWorkIsKnownToTheNextStart) {
  RocksKind kind;
  {
    auto engine = kind.home->open_live().value();
    put(*engine, table_a, "k", "v");
    ASSERT_TRUE(engine->flush());
  }
  for (const auto& file : std::filesystem::directory_iterator(kind.path + "/live-1")) {
    if (file.path().extension() != ".sst") continue;
    std::fstream table(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    table.seekp(3);
    table.put('\x7f');
  }
  {
    auto engine = kind.home->open_live().value();
    std::atomic<bool> cancel{false};
    const auto compacted = engine->compaction()(cancel);
    ASSERT_FALSE(compacted);
    EXPECT_EQ(compacted.error().kind, IoErrorKind::corrupt);
  }
  kind.reopen();
  const auto opened = kind.home->open_live();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, IoErrorKind::corrupt);
  EXPECT_THAT(opened.error().what, ::testing::HasSubstr("found damaged earlier"));
  ASSERT_TRUE(kind.home->set_aside_live());
  EXPECT_THAT(keys(*kind.home->open_live().value(), table_a), IsEmpty());
}

// The library's own log file ends the process when it can not be written.
TEST(RocksHome, HasNoLogFileBesideTheData) {
  RocksKind kind;
  ASSERT_TRUE(kind.home->open_live());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kind.path))
    EXPECT_FALSE(entry.path().filename().string().starts_with("LOG.") || entry.path().filename() == "LOG");
}

TEST(RocksHome, AnUnusablePathIsAnError) {
  RocksHome home("/proc/none");
  EXPECT_FALSE(home.open_live());
}

}  // namespace
}  // namespace quorate::storage
