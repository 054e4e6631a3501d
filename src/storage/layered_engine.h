// A state engine in layers: the changes since the last flush in a memtable, everything older in a base. Reads
// look through the layers, newest first. A flush freezes the memtable and merges it into the base off-thread,
// so that a put never waits for the base, and the base gets its changes sorted and in bulk.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "storage/engine.h"
#include "storage/memtable.h"

namespace quorate::storage {

// What a layered engine keeps its flushed state in.
class BaseEngine : public Engine {
 public:
  // Brings in the rows of `memtables` (oldest first): all of them durable and visible at once, or none. May
  // run on another thread than everything else.
  [[nodiscard]] virtual IoResult<void> merge(std::span<const std::shared_ptr<const Memtable>> memtables) = 0;
};

class LayeredEngine final : public Engine {
 public:
  explicit LayeredEngine(std::shared_ptr<BaseEngine> base);
  ~LayeredEngine() override;

  bool get(Table table, std::string_view key, std::string& value) const override;
  [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override;
  void put(Table table, std::string_view key, Bytes value) override;
  void erase(Table table, std::string_view key) override;
  [[nodiscard]] FlushJob begin_flush() override;
  [[nodiscard]] std::shared_ptr<const Reader> snapshot() const override;
  [[nodiscard]] std::uint64_t bytes_on_disk() const override;
  [[nodiscard]] std::uint64_t bytes_in_use() const override;
  [[nodiscard]] std::uint64_t bytes_unflushed() const override;
  [[nodiscard]] Compaction compaction() override { return base_->compaction(); }

 private:
  struct Layer;  // a frozen memtable
  [[nodiscard]] std::uint64_t bytes_of_layers() const;
  void freeze() const;
  void join_small_layers() const;
  void tidy();

  std::shared_ptr<BaseEngine> base_;
  // A snapshot freezes the memtable, which changes nothing that can be read.
  mutable std::shared_ptr<Memtable> active_;
  mutable std::vector<std::shared_ptr<Layer>> frozen_;  // oldest first
  std::vector<std::shared_ptr<Layer>> merged_;          // in the base; given back bit by bit
};

}  // namespace quorate::storage
