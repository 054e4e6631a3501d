#include "storage/layered_engine.h"

#include <map>
#include <string>

#include <gmock/gmock.h>

#include "core/rng.h"
#include "storage/memory_engine.h"

namespace quorate::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Table table_a{1};
constexpr Table table_b{2};

Bytes bytes(std::string_view text) { return Bytes::copy(text); }

std::vector<std::string> rows(const Memtable& memtable, Table table) {
  std::vector<std::string> out;
  for (const auto& row : memtable.ordered(table)) {
    out.push_back(std::string(row.key) + (row.erased ? "-" : "=" + row.value.str()));
  }
  return out;
}

std::vector<std::string> rows(const Reader& reader, Table table) {
  std::vector<std::string> out;
  auto cursor = reader.cursor(table);
  for (cursor->seek(""); cursor->valid(); cursor->next()) {
    out.push_back(std::string(cursor->key()) + "=" + std::string(cursor->value()));
  }
  return out;
}

std::string text(const Reader& reader, Table table, std::string_view key) {
  std::string value;
  return reader.get(table, key, value) ? value : "-";
}

TEST(Memtable, KeepsTheLastChangeOfAKey) {
  Memtable memtable;
  EXPECT_TRUE(memtable.empty());
  memtable.put(table_a, "b", bytes("1"));
  memtable.put(table_a, "b", bytes("2"));
  memtable.erase(table_a, "c");
  memtable.put(table_b, "b", bytes("other"));
  ASSERT_NE(memtable.find(table_a, "b"), nullptr);
  EXPECT_EQ(memtable.find(table_a, "b")->value, "2");
  EXPECT_TRUE(memtable.find(table_a, "c")->erased);
  EXPECT_EQ(memtable.find(table_a, "d"), nullptr);
  memtable.put(table_a, "c", bytes("again"));
  EXPECT_THAT(rows(memtable, table_a), ElementsAre("b=2", "c=again"));
  EXPECT_FALSE(memtable.empty());
}

TEST(Memtable, FindsAndOrdersKeysHoweverTheyCome) {
  for (const bool walked_early : {false, true}) {
    Memtable memtable;
    if (walked_early) {
      EXPECT_THAT(rows(memtable, table_a), IsEmpty());
    }
    for (const char* key : {"a", "c", "e"}) memtable.put(table_a, key, bytes("up"));  // ascending
    EXPECT_EQ(memtable.find(table_a, "b"), nullptr);
    EXPECT_EQ(memtable.find(table_a, "c")->value, "up");
    for (const char* key : {"b", "", "d", "f"}) memtable.put(table_a, key, bytes("mixed"));
    EXPECT_EQ(memtable.find(table_a, "c")->value, "up");
    EXPECT_EQ(memtable.find(table_a, "")->value, "mixed");
    EXPECT_THAT(rows(memtable, table_a),
                ElementsAre("=mixed", "a=up", "b=mixed", "c=up", "d=mixed", "e=up", "f=mixed"));
  }
}

TEST(Memtable, GivesItsMemoryBackInParts) {
  Memtable memtable;
  for (int i = 0; i < 10; ++i) memtable.put(i % 2 == 0 ? table_a : table_b, std::to_string(i), bytes("x"));
  EXPECT_TRUE(memtable.dismantle(4));
  EXPECT_TRUE(memtable.dismantle(5));
  EXPECT_FALSE(memtable.dismantle(5));
  EXPECT_TRUE(memtable.empty());
}

TEST(NewestRows, AreOfTheNewestMemtableThatHasTheKey) {
  auto older = std::make_shared<Memtable>();
  auto newer = std::make_shared<Memtable>();
  older->put(table_a, "both", bytes("old"));
  older->put(table_a, "old", bytes("x"));
  older->put(table_a, "gone", bytes("x"));
  newer->put(table_a, "new", bytes("x"));
  newer->put(table_a, "both", bytes("new"));
  newer->erase(table_a, "gone");
  const std::vector<std::shared_ptr<const Memtable>> memtables{older, newer};
  std::vector<std::string> found;
  for (const auto* row : newest_rows(memtables, table_a)) {
    found.push_back(std::string(row->key) + (row->erased ? "-" : "=" + row->value.str()));
  }
  EXPECT_THAT(found, ElementsAre("both=new", "gone-", "new=x", "old=x"));
}

TEST(LayeredEngine, IsReadAlikeBeforeDuringAndAfterAFlush) {
  const auto engine = make_memory_engine();
  engine->put(table_a, "base", bytes("1"));
  engine->put(table_a, "gone", bytes("1"));
  ASSERT_TRUE(engine->flush());
  engine->put(table_a, "base", bytes("2"));
  engine->erase(table_a, "gone");
  engine->put(table_a, "frozen", bytes("2"));
  auto flush = engine->begin_flush();
  engine->put(table_a, "frozen", bytes("3"));
  engine->put(table_a, "active", bytes("3"));
  for (const bool flushed : {false, true}) {
    EXPECT_EQ(text(*engine, table_a, "base"), "2");
    EXPECT_EQ(text(*engine, table_a, "gone"), "-");
    EXPECT_EQ(text(*engine, table_a, "frozen"), "3");
    EXPECT_THAT(rows(*engine, table_a), ElementsAre("active=3", "base=2", "frozen=3"));
    if (!flushed) {
      ASSERT_TRUE(flush());
    }
    engine->put(table_b, "more", bytes("x"));
  }
}

TEST(LayeredEngine, MakesDurableWhatWasThereWhenTheFlushBegan) {
  MemoryHome home;
  auto engine = home.open_live().value();
  engine->put(table_a, "before", bytes("1"));
  auto flush = engine->begin_flush();
  engine->put(table_a, "after", bytes("1"));
  const auto snapshot = engine->snapshot();  // freezes what came after; the flush under way does not take it
  ASSERT_TRUE(flush());
  home.crash();
  EXPECT_THAT(rows(*home.open_live().value(), table_a), ElementsAre("before=1"));
  EXPECT_THAT(rows(*snapshot, table_a), ElementsAre("after=1", "before=1"));
}

TEST(LayeredEngine, ADroppedFlushIsMadeUpForByTheNext) {
  MemoryHome home;
  auto engine = home.open_live().value();
  engine->put(table_a, "k", bytes("1"));
  {
    auto dropped = engine->begin_flush();
  }
  engine->put(table_a, "l", bytes("1"));
  ASSERT_TRUE(engine->flush());
  home.crash();
  EXPECT_THAT(rows(*home.open_live().value(), table_a), ElementsAre("k=1", "l=1"));
}

// Writes, flushes in steps and snapshots at random against plain maps; every snapshot stays what it was.
TEST(LayeredEngine, SnapshotsStayWhatTheyWere) {
  using Map = std::map<std::string, std::string>;
  Rng rng(7);
  const auto engine = make_memory_engine();
  Map model;
  std::vector<std::pair<std::shared_ptr<const Reader>, Map>> snapshots;
  Engine::FlushJob flush;
  const auto as_map = [](const Reader& reader) {
    Map map;
    auto cursor = reader.cursor(table_a);
    for (cursor->seek(""); cursor->valid(); cursor->next()) map.emplace(cursor->key(), cursor->value());
    return map;
  };
  for (int step = 0; step < 3000; ++step) {
    const std::string key = std::to_string(rng.below(40));
    if (rng.chance(0.7)) {
      const std::string value = std::to_string(step);
      engine->put(table_a, key, bytes(value));
      model[key] = value;
    } else {
      engine->erase(table_a, key);
      model.erase(key);
    }
    if (rng.chance(0.1)) snapshots.emplace_back(engine->snapshot(), model);
    if (!flush && rng.chance(0.02)) flush = engine->begin_flush();
    if (flush && rng.chance(0.1)) {
      ASSERT_TRUE(flush());
      flush = nullptr;
    }
    if (!snapshots.empty() && rng.chance(0.1)) {
      const auto picked = snapshots.begin() + static_cast<std::ptrdiff_t>(rng.below(snapshots.size()));
      ASSERT_EQ(as_map(*picked->first), picked->second);
      snapshots.erase(picked);
    }
    if (step % 50 == 0) {
      ASSERT_EQ(as_map(*engine), model);
    }
  }
}

}  // namespace
}  // namespace quorate::storage
