#include "storage/rocks_engine.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include "storage/layered_engine.h"
#include "storage/posix_disk.h"
#include "storage/rocks_database.h"
#include "storage/rocks_options.h"
#include "storage/rocks_room.h"

namespace quorate::storage {
namespace {

namespace fs = std::filesystem;

using rocks::Database;
using rocks::io_error;
using rocks::slice;
using rocks::stop;
using rocks::view;

constexpr std::string_view live_prefix = "live-";
constexpr const char* staging_name = "staging";
constexpr const char* damaged_name = "damaged";

std::string live_name(std::uint64_t generation) {
  return std::string(live_prefix) + std::to_string(generation);
}

// 0 where the name is not that of a live state.
std::uint64_t generation_of(std::string_view name) {
  if (!name.starts_with(live_prefix)) return 0;
  const auto digits = name.substr(live_prefix.size());
  std::uint64_t generation = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), generation);
  return error == std::errc() && end == digits.data() + digits.size() ? generation : 0;
}

// Whether anything was ever flushed to the database in this directory. What can not be looked at may hold
// much.
bool holds_tables(const std::string& path) {
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".sst") return true;
  }
  return static_cast<bool>(error);
}

IoError io_error(const char* operation, const std::string& path, std::error_code error) {
  return {error == std::errc::no_space_on_device ? IoErrorKind::full : IoErrorKind::failed,
          std::string(operation) + " " + path + ": " + error.message()};
}

std::string family_name(std::size_t table) {
  return table == 0 ? rocksdb::kDefaultColumnFamilyName : "table" + std::to_string(table);
}

class RocksCursor final : public Cursor {
 public:
  RocksCursor(std::shared_ptr<const Database> database, const rocksdb::ReadOptions& options, Table table)
      : database_(std::move(database)), at_(database_->db->NewIterator(options, database_->family(table))) {}

  void seek(std::string_view key) override {
    at_->Seek(slice(key));
    check();
  }
  void seek_last(std::string_view key) override {
    at_->SeekForPrev(slice(key));
    check();
  }
  void next() override {
    at_->Next();
    check();
  }
  void prev() override {
    at_->Prev();
    check();
  }
  [[nodiscard]] bool valid() const override { return at_->Valid(); }
  [[nodiscard]] std::string_view key() const override { return view(at_->key()); }
  [[nodiscard]] std::string_view value() const override { return view(at_->value()); }

 private:
  void check() const {
    if (!at_->Valid() && !at_->status().ok()) stop(database_->path, at_->status());
  }

  std::shared_ptr<const Database> database_;
  std::unique_ptr<rocksdb::Iterator> at_;
};

class RocksSnapshot final : public Reader {
 public:
  explicit RocksSnapshot(std::shared_ptr<const Database> database)
      : database_(std::move(database)), pinned_(database_->db->GetSnapshot()) {}
  ~RocksSnapshot() override { database_->db->ReleaseSnapshot(pinned_); }

  bool get(Table table, std::string_view key, std::string& value) const override {
    return database_->get(options(), table, key, value);
  }
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override {
    auto scan = options();
    scan.fill_cache = false;  // snapshots are read once, from end to end
    return std::make_unique<RocksCursor>(database_, scan, table);
  }

 private:
  [[nodiscard]] rocksdb::ReadOptions options() const {
    rocksdb::ReadOptions options;
    options.snapshot = pinned_;
    return options;
  }

  std::shared_ptr<const Database> database_;
  const rocksdb::Snapshot* pinned_;
};

// By itself it is a staging engine; below a LayeredEngine it is written by merge() alone.
class RocksEngine final : public BaseEngine {
 public:
  explicit RocksEngine(std::shared_ptr<Database> database) : database_(std::move(database)) {
    unlogged_.disableWAL = true;
    database_->engine_open = true;
  }
  ~RocksEngine() override { database_->engine_open = false; }

  bool get(Table table, std::string_view key, std::string& value) const override {
    return database_->get({}, table, key, value);
  }
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override {
    return std::make_unique<RocksCursor>(database_, rocksdb::ReadOptions(), table);
  }

  void write(const Batch& batch) override {
    rocksdb::WriteBatch changes;
    for (const auto& change : batch.changes()) {
      auto* family = database_->family(change.table);
      note(change.erase ? changes.Delete(family, change.key) : changes.Put(family, change.key, change.value));
    }
    if (failed_.ok()) note(database_->db->Write(unlogged_, &changes));
  }

  void put(Table table, std::string_view key, Bytes value) override {
    note(database_->db->Put(unlogged_, database_->family(table), slice(key), slice(value.view())));
  }
  void erase(Table table, std::string_view key) override {
    note(database_->db->Delete(unlogged_, database_->family(table), slice(key)));
  }
  [[nodiscard]] std::optional<IoError> failure() const override {
    return failed_.ok() ? std::nullopt : std::optional(io_error("write", database_->path, failed_));
  }

  [[nodiscard]] FlushJob begin_flush() override {
    return [database = database_, failure = failure()]() -> IoResult<void> {
      if (failure) return std::unexpected(*failure);
      rocksdb::FlushOptions options;
      options.wait = true;
      options.allow_write_stall = true;  // waiting for better times could wait for ever
      const std::vector<rocksdb::ColumnFamilyHandle*> all(database->families.begin(),
                                                          database->families.end());
      if (const auto status = database->db->Flush(options, all); !status.ok()) {
        rocks::mark(database->path, status);
        return std::unexpected(io_error("flush", database->path, status));
      }
      return {};
    };
  }

  [[nodiscard]] IoResult<void> merge(std::span<const std::shared_ptr<const Memtable>> memtables) override {
    return database_->merge(memtables);
  }

  [[nodiscard]] std::shared_ptr<const Reader> snapshot() const override {
    return std::make_shared<RocksSnapshot>(database_);
  }
  [[nodiscard]] std::uint64_t bytes_on_disk() const override {
    return sum(rocksdb::DB::Properties::kTotalSstFilesSize);
  }
  [[nodiscard]] std::uint64_t bytes_in_use() const override {
    return sum(rocksdb::DB::Properties::kEstimateLiveDataSize) +
           sum(rocksdb::DB::Properties::kCurSizeAllMemTables);
  }
  [[nodiscard]] std::uint64_t bytes_unflushed() const override {
    return sum(rocksdb::DB::Properties::kCurSizeAllMemTables);
  }
  [[nodiscard]] Compaction compaction() override {
    return [database = database_](std::atomic<bool>& cancel) -> IoResult<void> {
      const rocks::Room::Asked asked(database->room);
      rocksdb::CompactRangeOptions options;
      options.exclusive_manual_compaction = false;
      options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
      options.canceled = &cancel;
      for (auto* family : database->families) {
        const auto status = database->db->CompactRange(options, family, nullptr, nullptr);
        if (status.ok()) continue;
        rocks::mark(database->path, status);
        return std::unexpected(io_error("compact", database->path, status));
      }
      return {};
    };
  }

 private:
  void note(const rocksdb::Status& status) {
    rocks::mark(database_->path, status);
    if (failed_.ok()) failed_ = status;
  }
  [[nodiscard]] std::uint64_t sum(const std::string& property) const {
    std::uint64_t total = 0;
    for (auto* family : database_->families) {
      std::uint64_t part = 0;
      if (database_->db->GetIntProperty(family, property, &part)) total += part;
    }
    return total;
  }

  std::shared_ptr<Database> database_;
  rocksdb::WriteOptions unlogged_;
  rocksdb::Status failed_;  // the first that was
};

IoResult<void> rename_directory(const std::string& from, const std::string& to, const std::string& parent) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return std::unexpected(io_error("rename", from, error));
  return sync_directory_at(parent);
}

}  // namespace

struct RocksHome::Shared {
  RocksConfig config;
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocks::Room> room;
  std::vector<std::weak_ptr<Database>> opened;

  [[nodiscard]] std::shared_ptr<Database> at(const std::string& path) {
    std::erase_if(opened, [](const auto& database) { return database.expired(); });
    for (const auto& weak : opened) {
      if (auto database = weak.lock(); database && database->path == path) return database;
    }
    return nullptr;
  }
};

RocksHome::RocksHome(std::string path, RocksConfig config)
    : path_(std::move(path)),
      shared_(std::make_unique<Shared>(
          Shared{config,
                 rocksdb::NewLRUCache(config.cache_bytes),
                 std::make_shared<rocks::Room>(config.room_left ? config.room_left
                                                                : rocks::all_but(config.spare_bytes)),
                 {}})) {}
RocksHome::~RocksHome() = default;

std::string RocksHome::at(const std::string& name) const { return path_ + "/" + name; }

// The live state is the one of the highest generation; a staged one becomes it by one renaming, which a crash
// either did or did not do. Older ones are left over from a crash, unless they are still being read.
IoResult<void> RocksHome::settle() {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) return std::unexpected(io_error("mkdir", path_, error));
  std::vector<std::uint64_t> found;
  for (fs::directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
    if (const auto generation = generation_of(it->path().filename().string()); generation != 0)
      found.push_back(generation);
  }
  if (error) return std::unexpected(io_error("list", path_, error));
  generation_ = found.empty() ? 1 : std::ranges::max(found);
  // The process may have died before the newest had its name for good: only then may the others go.
  if (found.size() > 1) {
    if (auto synced = sync_directory_at(path_); !synced) return synced;
  }
  for (const auto generation : found) {
    const std::string old = at(live_name(generation));
    if (generation == generation_ || shared_->at(old)) continue;
    fs::remove_all(old, error);
    if (error) return std::unexpected(io_error("remove", old, error));
  }
  return {};
}

// Tables are column families. Those that are missing are made together: one by one each would write the
// options of all anew, which takes longer than all the rest of a first start.
IoResult<std::unique_ptr<BaseEngine>> RocksHome::open_at(const std::string& name) {
  auto database = std::make_shared<Database>();
  database->path = at(name);
  database->room = shared_->room;
  if (auto sound = rocks::not_marked(database->path); !sound) return std::unexpected(sound.error());
  const auto options = rocks::table_options(shared_->config, shared_->cache);
  std::vector<std::string> known;
  auto settings = rocks::database_options(shared_->config, *shared_->room);
  // What is staged is whole by its last flush, or of no use; closing it must not fill the disk.
  settings.avoid_flush_during_shutdown = name == staging_name;
  const auto listed = rocksdb::DB::ListColumnFamilies(settings, database->path, &known);
  const std::size_t made = listed.ok() ? std::min(known.size(), table_count) : 1;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (std::size_t i = 0; i < made; ++i) families.emplace_back(family_name(i), options);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  auto status = rocksdb::DB::Open(settings, database->path, families, &handles, &db);
  if (!status.ok()) return std::unexpected(io_error("open", database->path, status));
  database->db.reset(db);
  std::ranges::copy(handles, database->families.begin());
  if (made < table_count) {
    std::vector<std::string> missing;
    for (std::size_t i = made; i < table_count; ++i) missing.push_back(family_name(i));
    status = db->CreateColumnFamilies(options, missing, &handles);
    std::ranges::copy(handles, database->families.begin() + static_cast<std::ptrdiff_t>(made));
    if (!status.ok()) return std::unexpected(io_error("open", database->path, status));
  }
  shared_->opened.push_back(database);
  if (auto synced = sync_directory_at(path_); !synced) return std::unexpected(synced.error());
  return std::make_unique<RocksEngine>(std::move(database));
}

IoResult<std::unique_ptr<Engine>> RocksHome::open_live() {
  if (auto settled = settle(); !settled) return std::unexpected(settled.error());
  auto base = open_at(live_name(generation_));
  if (!base) return std::unexpected(base.error());
  return std::make_unique<LayeredEngine>(std::move(*base));
}

IoResult<std::unique_ptr<Engine>> RocksHome::create_staging() {
  if (auto settled = settle(); !settled) return std::unexpected(settled.error());
  discard_staging();
  return open_at(staging_name);
}

IoResult<std::unique_ptr<Engine>> RocksHome::open_staging() {
  if (auto settled = settle(); !settled) return std::unexpected(settled.error());
  std::error_code error;
  if (!fs::exists(at(staging_name), error)) {
    return std::unexpected(
        IoError{IoErrorKind::not_found, "open " + at(staging_name) + ": no received snapshot"});
  }
  return open_at(staging_name);
}

IoResult<void> RocksHome::promote_staging() {
  if (auto settled = settle(); !settled) return settled;
  const auto live = shared_->at(at(live_name(generation_)));
  if ((live && live->engine_open) || shared_->at(at(staging_name))) {
    return std::unexpected(
        IoError{IoErrorKind::failed, "promote " + at(staging_name) + ": an engine is still open"});
  }
  std::error_code error;
  if (!fs::exists(at(staging_name), error)) {
    return std::unexpected(
        IoError{IoErrorKind::not_found, "promote " + at(staging_name) + ": no received snapshot"});
  }
  if (auto moved = rename_directory(at(staging_name), at(live_name(generation_ + 1)), path_); !moved)
    return moved;
  const std::string old = at(live_name(generation_++));
  if (live) {
    live->retired = true;
  } else {
    fs::remove_all(old, error);  // a leftover is dropped by the next open
  }
  return {};
}

// What an interrupted repair made anew, into which nothing was flushed yet, must not take the place of what
// that repair had set aside: of that the operator may still save something.
IoResult<void> RocksHome::set_aside_live() {
  if (auto settled = settle(); !settled) return settled;
  const std::string live = at(live_name(generation_));
  std::error_code error;
  if (!fs::exists(live, error)) return {};
  const bool keep = fs::exists(at(damaged_name), error) && !holds_tables(live);
  const std::string dropped = keep ? live : at(damaged_name);
  fs::remove_all(dropped, error);
  if (error) return std::unexpected(io_error("remove", dropped, error));
  return keep ? IoResult<void>() : rename_directory(live, at(damaged_name), path_);
}

void RocksHome::discard_staging() {
  std::error_code error;
  fs::remove_all(at(staging_name), error);
}

}  // namespace quorate::storage
