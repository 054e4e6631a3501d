// A whole state as one row of bytes, and back: what `snapshot save` fetches and `snapshot restore` reads.
//
//   "QUORATE-SNAPSHOT-1\n"
//   rows      table (one byte, not 0xFF), varint length of key, key, varint length of value, value
//             by table, then in key order
//   0xFF      zeroes, and 8 bytes, little endian: how many rows there were; in all a multiple of 512 bytes
//
// In a file the SHA-256 of all this stands behind it, as `etcdctl snapshot save` keeps it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/engine.h"

namespace quorate::storage {

class BackupWriter {
 public:
  explicit BackupWriter(std::shared_ptr<const Reader> state);

  // Appends to `out` until it has at least `bytes`, or all is told. Memory: one row beyond `bytes`.
  void fill(std::string& out, std::size_t bytes);
  [[nodiscard]] bool done() const { return done_; }

 private:
  void append_row(std::string& out);
  void close(std::string& out);
  void open_table();

  std::shared_ptr<const Reader> state_;
  std::unique_ptr<Cursor> cursor_;
  std::size_t table_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t told_ = 0;  // bytes
  bool done_ = false;
};

struct BackupSummary {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // of the file
};
using RowVisitor = std::function<void(Table table, std::string_view key, std::string_view value)>;

// Checks the whole file against its checksum, and only then gives its rows to `visit`. An error names the
// file and what is wrong with it.
[[nodiscard]] std::expected<BackupSummary, std::string> read_backup(const std::string& path,
                                                                    const RowVisitor& visit);

}  // namespace quorate::storage
