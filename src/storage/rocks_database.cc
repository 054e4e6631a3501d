#include "storage/rocks_database.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include <rocksdb/sst_file_writer.h>

namespace quorate::storage::rocks {
namespace {

namespace fs = std::filesystem;

constexpr const char* mark_name = "/DAMAGED";

// The newest rows of `table` as a sorted file at `path`; false if there are none.
IoResult<bool> write_file(const Database& database, Table table, const std::string& path,
                          std::span<const std::shared_ptr<const Memtable>> memtables) {
  const auto rows = newest_rows(memtables, table);
  if (rows.empty()) return false;
  auto* family = database.family(table);
  // Keys that come in order, like history's, make files that do not overlap: a lookup goes to one of them
  // anyway.
  const bool no_filter =
      std::ranges::all_of(memtables, [table](const auto& memtable) { return memtable->ascending(table); });
  // The database's way of writing files: handed to the disk a piece at a time, beside the log's flushes.
  const rocksdb::EnvOptions files(database.db->GetDBOptions());
  rocksdb::SstFileWriter file(files, database.db->GetOptions(family), family, true,
                              rocksdb::Env::IOPriority::IO_TOTAL, no_filter);
  auto status = file.Open(path);
  for (const auto* row : rows) {
    if (!status.ok()) break;
    status = row->erased ? file.Delete(slice(row->key)) : file.Put(slice(row->key), slice(row->value.view()));
  }
  if (status.ok()) status = file.Finish();
  if (!status.ok()) return std::unexpected(io_error("write", path, status));
  return true;
}

}  // namespace

IoError io_error(const char* operation, const std::string& path, const rocksdb::Status& status) {
  // Of a file that its manifest names and that is gone it says that the path is not found.
  const bool corrupt = status.IsCorruption() || status.IsPathNotFound();
  return {status.IsNoSpace() ? IoErrorKind::full
          : corrupt          ? IoErrorKind::corrupt
                             : IoErrorKind::failed,
          std::string(operation) + " " + path + ": " + status.ToString()};
}

void mark(const std::string& path, const rocksdb::Status& status) {
  if (!status.IsCorruption()) return;
  std::ofstream(path + mark_name) << status.ToString() << "\n";  // one that a crash loses is made again
}

IoResult<void> not_marked(const std::string& path) {
  std::ifstream file(path + mark_name);
  if (!file) return {};
  std::string what;
  std::getline(file, what);
  return std::unexpected(IoError{IoErrorKind::corrupt,
                                 path + ": found damaged earlier: " + what + " (" + path + mark_name + ")"});
}

void stop(const std::string& path, const rocksdb::Status& status) {
  mark(path, status);
  std::fprintf(stderr, "quorate: state in %s: %s. The node stops; nothing acknowledged is lost.\n",
               path.c_str(), status.ToString().c_str());
  std::abort();
}

Database::~Database() {
  if (!db) return;
  for (auto* family : families) {
    if (family != nullptr) db->DestroyColumnFamilyHandle(family);
  }
  if (retired) db->SetDBOptions({{"avoid_flush_during_shutdown", "true"}}).PermitUncheckedError();
  // Closing flushes what is still in memory, so that an orderly restart has nothing to replay.
  db->Close().PermitUncheckedError();
  db.reset();
  std::error_code ignored;
  if (retired) fs::remove_all(path, ignored);  // a leftover is dropped by the next start
}

bool Database::get(const rocksdb::ReadOptions& options, Table table, std::string_view key,
                   std::string& value) const {
  rocksdb::PinnableSlice found(&value);
  const auto status = db->Get(options, family(table), slice(key), &found);
  if (status.IsNotFound()) return false;
  if (!status.ok()) stop(path, status);
  if (found.IsPinned()) value.assign(found.data(), found.size());
  return true;
}

IoResult<void> Database::merge(std::span<const std::shared_ptr<const Memtable>> memtables) const {
  const std::string incoming = path + "/incoming";
  std::error_code error;
  fs::remove_all(incoming, error);  // what a crash left
  fs::create_directory(incoming, error);
  if (error) {
    const auto kind = error == std::errc::no_space_on_device ? IoErrorKind::full : IoErrorKind::failed;
    return std::unexpected(IoError{kind, "mkdir " + incoming + ": " + error.message()});
  }
  auto taken = take_in(incoming, memtables);
  if (!taken) fs::remove_all(incoming, error);  // on a full disk, half of it must not take the rest
  return taken;
}

IoResult<void> Database::take_in(const std::string& incoming,
                                 std::span<const std::shared_ptr<const Memtable>> memtables) const {
  std::vector<rocksdb::IngestExternalFileArg> files;
  for (std::size_t i = 0; i < table_count; ++i) {
    const std::string name = incoming + "/table" + std::to_string(i) + ".sst";
    auto written = write_file(*this, static_cast<Table>(i), name, memtables);
    if (!written) return std::unexpected(written.error());
    if (!*written) continue;
    rocksdb::IngestExternalFileArg file;
    file.column_family = family(static_cast<Table>(i));
    file.external_files = {name};
    file.options.move_files = true;
    file.options.write_global_seqno = false;
    files.push_back(std::move(file));
  }
  if (files.empty()) return {};
  if (const auto status = db->IngestExternalFiles(files); !status.ok()) {
    mark(path, status);
    return std::unexpected(io_error("take in", incoming, status));
  }
  return {};
}

}  // namespace quorate::storage::rocks
