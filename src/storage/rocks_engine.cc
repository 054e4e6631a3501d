#include "storage/rocks_engine.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "storage/layered_engine.h"
#include "storage/posix_disk.h"
#include "storage/rocks_database.h"

namespace quorate::storage {
namespace {

namespace fs = std::filesystem;

using rocks::Database;
using rocks::io_error;
using rocks::slice;
using rocks::stop;
using rocks::view;

constexpr const char* live_name = "live";
constexpr const char* staging_name = "staging";
constexpr const char* retired_name = "retired";

IoError io_error(const char* operation, const std::string& path, std::error_code error) {
  return {error == std::errc::no_space_on_device ? IoErrorKind::full : IoErrorKind::failed,
          std::string(operation) + " " + path + ": " + error.message()};
}

rocksdb::CompressionType best_of(std::initializer_list<rocksdb::CompressionType> wanted) {
  const auto supported = rocksdb::GetSupportedCompressions();
  for (const auto type : wanted) {
    if (std::ranges::find(supported, type) != supported.end()) return type;
  }
  return rocksdb::kNoCompression;
}

rocksdb::DBOptions database_options(const RocksConfig& config) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.atomic_flush = true;  // all tables or none: the applied index never runs ahead of the data
  options.db_write_buffer_size = config.write_buffer_bytes;
  options.max_background_jobs = 2;
  options.max_open_files = 512;
  options.bytes_per_sync = 1U << 20U;  // a flush does not hit the log's disk in one blow
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.max_manifest_file_size = 16U << 20U;
  return options;
}

rocksdb::ColumnFamilyOptions table_options(const RocksConfig& config, std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.block_size = 8U << 10U;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;  // else they grow beside the cache, with the data
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;

  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = config.write_buffer_bytes / 2;
  options.max_write_buffer_number = 4;
  options.target_file_size_base = 32U << 20U;
  options.max_bytes_for_level_base = 128U << 20U;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = best_of({rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
  return options;
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

class RocksEngine final : public BaseEngine {
 public:
  explicit RocksEngine(std::shared_ptr<Database> database) : database_(std::move(database)) {
    unlogged_.disableWAL = true;
  }

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
      check(change.erase ? changes.Delete(family, change.key)
                         : changes.Put(family, change.key, change.value));
    }
    check(database_->db->Write(unlogged_, &changes));
  }

  void put(Table table, std::string_view key, Bytes value) override {
    check(database_->db->Put(unlogged_, database_->family(table), slice(key), slice(value.view())));
  }
  void erase(Table table, std::string_view key) override {
    check(database_->db->Delete(unlogged_, database_->family(table), slice(key)));
  }

  [[nodiscard]] FlushJob begin_flush() override {
    return [database = database_]() -> IoResult<void> {
      rocksdb::FlushOptions options;
      options.wait = true;
      options.allow_write_stall = true;  // waiting for better times could wait for ever
      const std::vector<rocksdb::ColumnFamilyHandle*> all(database->families.begin(),
                                                          database->families.end());
      if (const auto status = database->db->Flush(options, all); !status.ok()) {
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

 private:
  void check(const rocksdb::Status& status) const {
    if (!status.ok()) stop(database_->path, status);
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
  std::vector<std::weak_ptr<Database>> opened;

  [[nodiscard]] bool busy() {
    std::erase_if(opened, [](const auto& database) { return database.expired(); });
    return !opened.empty();
  }
};

RocksHome::RocksHome(std::string path, RocksConfig config)
    : path_(std::move(path)),
      shared_(std::make_unique<Shared>(Shared{config, rocksdb::NewLRUCache(config.cache_bytes), {}})) {}
RocksHome::~RocksHome() = default;

std::string RocksHome::at(const char* name) const { return path_ + "/" + name; }

// A promotion renames live to retired, then staging to live, then drops retired. Between the first two
// there is no live: the staging is whole (it was flushed and closed before), so the promotion is finished.
IoResult<void> RocksHome::settle() {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) return std::unexpected(io_error("mkdir", path_, error));
  const bool live = fs::exists(at(live_name), error);
  const bool retired = fs::exists(at(retired_name), error);
  if (!live && retired) {
    const char* heir = fs::exists(at(staging_name), error) ? staging_name : retired_name;
    if (auto done = rename_directory(at(heir), at(live_name), path_); !done) return done;
  }
  fs::remove_all(at(retired_name), error);
  if (error) return std::unexpected(io_error("remove", at(retired_name), error));
  return {};
}

// Tables are column families. Those that are missing are made together: one by one each would write the
// options of all anew, which takes longer than all the rest of a first start.
IoResult<std::unique_ptr<BaseEngine>> RocksHome::open_at(const char* name) {
  auto database = std::make_shared<Database>();
  database->path = at(name);
  const auto options = table_options(shared_->config, shared_->cache);
  std::vector<std::string> known;
  const auto listed =
      rocksdb::DB::ListColumnFamilies(database_options(shared_->config), database->path, &known);
  const std::size_t made = listed.ok() ? std::min(known.size(), table_count) : 1;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (std::size_t i = 0; i < made; ++i) families.emplace_back(family_name(i), options);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  auto status = rocksdb::DB::Open(database_options(shared_->config), database->path, families, &handles, &db);
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
  auto base = open_at(live_name);
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
  if (shared_->busy()) {
    return std::unexpected(IoError{IoErrorKind::failed,
                                   "promote " + at(staging_name) + ": an engine or snapshot is still open"});
  }
  if (auto settled = settle(); !settled) return settled;
  std::error_code error;
  if (!fs::exists(at(staging_name), error)) {
    return std::unexpected(
        IoError{IoErrorKind::not_found, "promote " + at(staging_name) + ": no received snapshot"});
  }
  if (fs::exists(at(live_name), error)) {
    if (auto moved = rename_directory(at(live_name), at(retired_name), path_); !moved) return moved;
  }
  if (auto moved = rename_directory(at(staging_name), at(live_name), path_); !moved) return moved;
  fs::remove_all(at(retired_name), error);  // a leftover is dropped by the next open
  return {};
}

void RocksHome::discard_staging() {
  std::error_code error;
  fs::remove_all(at(staging_name), error);
}

}  // namespace quorate::storage
