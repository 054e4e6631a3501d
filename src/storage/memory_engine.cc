#include "storage/memory_engine.h"

#include <utility>

#include "storage/layered_engine.h"

namespace quorate::storage {
namespace {

using Map = std::map<std::string, std::string, std::less<>>;
using Tables = std::array<std::shared_ptr<Map>, table_count>;

Tables empty_tables() {
  Tables tables;
  for (auto& table : tables) table = std::make_shared<Map>();
  return tables;
}

class MemoryCursor final : public Cursor {
 public:
  explicit MemoryCursor(std::shared_ptr<const Map> map) : map_(std::move(map)), at_(map_->end()) {}

  void seek(std::string_view key) override { at_ = map_->lower_bound(key); }
  void seek_last(std::string_view key) override {
    at_ = map_->upper_bound(key);
    prev_or_end();
  }
  void next() override { ++at_; }
  void prev() override { prev_or_end(); }
  [[nodiscard]] bool valid() const override { return at_ != map_->end(); }
  [[nodiscard]] std::string_view key() const override { return at_->first; }
  [[nodiscard]] std::string_view value() const override { return at_->second; }

 private:
  void prev_or_end() { at_ = at_ == map_->begin() ? map_->end() : std::prev(at_); }

  std::shared_ptr<const Map> map_;
  Map::const_iterator at_;
};

bool find(const Map& map, std::string_view key, std::string& value) {
  const auto it = map.find(key);
  if (it == map.end()) return false;
  value = it->second;
  return true;
}

std::uint64_t size_of(const Tables& tables) {
  std::uint64_t total = 0;
  for (const auto& table : tables) {
    for (const auto& [key, value] : *table) total += key.size() + value.size();
  }
  return total;
}

}  // namespace

// The lock is for flush() and snapshots on other threads, which the Engine's contract allows.
struct MemoryHome::Store {
  mutable std::mutex mutex;
  Tables tables = empty_tables();
  Tables flushed = tables;
  int engines = 0;  // open

  Map& writable(Table table) {
    auto& map = tables.at(static_cast<std::size_t>(table));
    if (map.use_count() > 1) map = std::make_shared<Map>(*map);
    return *map;
  }
  [[nodiscard]] Tables share() const {
    const std::lock_guard lock(mutex);
    return tables;
  }
};

namespace {

class MemorySnapshot final : public Reader {
 public:
  explicit MemorySnapshot(Tables tables) : tables_(std::move(tables)) {}
  bool get(Table table, std::string_view key, std::string& value) const override {
    return find(*tables_.at(static_cast<std::size_t>(table)), key, value);
  }
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override {
    return std::make_unique<MemoryCursor>(tables_.at(static_cast<std::size_t>(table)));
  }

 private:
  Tables tables_;
};

class MemoryEngine final : public BaseEngine {
 public:
  explicit MemoryEngine(std::shared_ptr<MemoryHome::Store> store) : store_(std::move(store)) {
    ++store_->engines;
  }
  ~MemoryEngine() override { --store_->engines; }

  bool get(Table table, std::string_view key, std::string& value) const override {
    const std::lock_guard lock(store_->mutex);
    return find(*store_->tables.at(static_cast<std::size_t>(table)), key, value);
  }
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override {
    const std::lock_guard lock(store_->mutex);
    return std::make_unique<MemoryCursor>(store_->tables.at(static_cast<std::size_t>(table)));
  }
  void put(Table table, std::string_view key, Bytes value) override {
    const std::lock_guard lock(store_->mutex);
    store_->writable(table).insert_or_assign(std::string(key), value.str());
  }
  void erase(Table table, std::string_view key) override {
    const std::lock_guard lock(store_->mutex);
    auto& map = store_->writable(table);
    if (const auto known = map.find(key); known != map.end()) map.erase(known);
  }
  [[nodiscard]] FlushJob begin_flush() override {
    const std::lock_guard lock(store_->mutex);
    return [store = store_, tables = store_->tables]() -> IoResult<void> {
      const std::lock_guard writing(store->mutex);
      store->flushed = tables;
      return {};
    };
  }
  [[nodiscard]] IoResult<void> merge(std::span<const std::shared_ptr<const Memtable>> memtables) override {
    const std::lock_guard lock(store_->mutex);
    for (std::size_t i = 0; i < table_count; ++i) {
      for (const auto* row : newest_rows(memtables, static_cast<Table>(i))) {
        auto& map = store_->writable(static_cast<Table>(i));
        if (row->erased) {
          map.erase(std::string(row->key));
        } else {
          map.insert_or_assign(std::string(row->key), row->value.str());
        }
      }
    }
    store_->flushed = store_->tables;
    return {};
  }
  [[nodiscard]] std::shared_ptr<const Reader> snapshot() const override {
    return std::make_shared<MemorySnapshot>(store_->share());
  }
  [[nodiscard]] std::uint64_t bytes_on_disk() const override {
    const std::lock_guard lock(store_->mutex);
    return size_of(store_->flushed);
  }
  [[nodiscard]] std::uint64_t bytes_in_use() const override { return size_of(store_->share()); }
  [[nodiscard]] std::uint64_t bytes_unflushed() const override { return 0; }  // it goes to no disk
  [[nodiscard]] Compaction compaction() override {
    return [](std::atomic<bool>&) -> IoResult<void> { return {}; };
  }

 private:
  std::shared_ptr<MemoryHome::Store> store_;
};

IoError no_staging() { return {IoErrorKind::not_found, "open staging: no received snapshot is there"}; }

}  // namespace

MemoryHome::MemoryHome() : live_(std::make_shared<Store>()) {}
MemoryHome::~MemoryHome() = default;

// Fresh stores, so that engines of the dead process write to memory nobody reads.
void MemoryHome::crash() {
  for (auto* store : {&live_, &staging_}) {
    if (!*store) continue;
    auto revived = std::make_shared<Store>();
    {
      const std::lock_guard lock((*store)->mutex);
      revived->flushed = (*store)->flushed;
    }
    revived->tables = revived->flushed;
    *store = std::move(revived);
  }
}

IoResult<std::unique_ptr<Engine>> MemoryHome::open_live() {
  return std::make_unique<LayeredEngine>(std::make_shared<MemoryEngine>(live_));
}

IoResult<std::unique_ptr<Engine>> MemoryHome::create_staging() {
  staging_ = std::make_shared<Store>();
  return std::make_unique<MemoryEngine>(staging_);
}

IoResult<std::unique_ptr<Engine>> MemoryHome::open_staging() {
  if (!staging_) return std::unexpected(no_staging());
  return std::make_unique<MemoryEngine>(staging_);
}

IoResult<void> MemoryHome::promote_staging() {
  if (!staging_) return std::unexpected(no_staging());
  if (live_->engines != 0 || staging_->engines != 0) {
    return std::unexpected(
        IoError{IoErrorKind::failed, "promote staging: an engine of this home is still open"});
  }
  live_ = std::exchange(staging_, nullptr);
  return {};
}

void MemoryHome::discard_staging() { staging_.reset(); }

IoResult<void> MemoryHome::set_aside_live() {
  live_ = std::make_shared<Store>();
  return {};
}

std::unique_ptr<Engine> make_memory_engine() {
  return std::make_unique<LayeredEngine>(
      std::make_shared<MemoryEngine>(std::make_shared<MemoryHome::Store>()));
}

}  // namespace quorate::storage
