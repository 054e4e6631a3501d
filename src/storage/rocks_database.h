// An open RocksDB database, as engines, snapshots and cursors share it.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>

#include "storage/disk.h"
#include "storage/engine.h"
#include "storage/memtable.h"
#include "storage/rocks_room.h"

namespace quorate::storage::rocks {

inline rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view view(const rocksdb::Slice& text) { return {text.data(), text.size()}; }

[[nodiscard]] IoError io_error(const char* operation, const std::string& path, const rocksdb::Status& status);

// A database in which corruption was found is marked, and is not opened again: what went unnoticed at one
// start may do so at the next. Other failures may be over by then, and leave no mark.
void mark(const std::string& path, const rocksdb::Status& status);
[[nodiscard]] IoResult<void> not_marked(const std::string& path);

// State that can not be read or written leaves nothing safe to do; the log on disk is the way back.
[[noreturn]] void stop(const std::string& path, const rocksdb::Status& status);

// Open as long as any of its holders. A retired one is read by those who began before another state took its
// place, and goes with the last of them.
struct Database {
  std::string path;
  std::shared_ptr<Room> room;
  std::unique_ptr<rocksdb::DB> db;
  std::array<rocksdb::ColumnFamilyHandle*, table_count> families{};
  std::atomic<bool> engine_open{false};
  std::atomic<bool> retired{false};

  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  [[nodiscard]] rocksdb::ColumnFamilyHandle* family(Table table) const {
    return families.at(static_cast<std::size_t>(table));
  }
  bool get(const rocksdb::ReadOptions& options, Table table, std::string_view key, std::string& value) const;

  // Writes the rows to sorted files, one per table, and takes these in with one atomic change of the
  // manifest: neither log nor memtable of the database see them.
  [[nodiscard]] IoResult<void> merge(std::span<const std::shared_ptr<const Memtable>> memtables) const;

 private:
  [[nodiscard]] IoResult<void> take_in(const std::string& incoming,
                                       std::span<const std::shared_ptr<const Memtable>> memtables) const;
};

}  // namespace quorate::storage::rocks
