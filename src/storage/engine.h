// The state seam: an ordered key-value store of a few tables, written in atomic batches. RocksEngine is the
// real one (its own log off: the node's write-ahead log replays what was not flushed); MemoryEngine, which
// forgets what was not flushed when the simulator crashes it, is tested against it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "storage/disk.h"

namespace quorate::storage {

// Which ordered map a key lives in. 0 is the host's; models number theirs from 1.
enum class Table : std::uint8_t { system = 0 };
inline constexpr std::size_t table_count = 8;

// An atomic set of changes, applied in order.
class Batch {
 public:
  struct Change {
    Table table;
    bool erase = false;
    std::string key;
    std::string value;
  };
  void put(Table table, std::string key, std::string value) {
    changes_.push_back({table, false, std::move(key), std::move(value)});
  }
  void erase(Table table, std::string key) { changes_.push_back({table, true, std::move(key), {}}); }
  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }
  [[nodiscard]] std::vector<Change>& changes() { return changes_; }
  [[nodiscard]] bool empty() const { return changes_.empty(); }
  void clear() { changes_.clear(); }

 private:
  std::vector<Change> changes_;
};

// Keys in byte order. A fresh cursor is not valid until placed.
class Cursor {
 public:
  Cursor() = default;
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  virtual ~Cursor() = default;
  virtual void seek(std::string_view key) = 0;       // first key >= key
  virtual void seek_last(std::string_view key) = 0;  // last key <= key
  virtual void next() = 0;
  virtual void prev() = 0;
  [[nodiscard]] virtual bool valid() const = 0;
  [[nodiscard]] virtual std::string_view key() const = 0;  // until the cursor moves
  [[nodiscard]] virtual std::string_view value() const = 0;
};

// Anything that can be read.
class Reader {
 public:
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  virtual ~Reader() = default;
  // True and `value` filled if the key is there.
  virtual bool get(Table table, std::string_view key, std::string& value) const = 0;
  [[nodiscard]] virtual std::unique_ptr<Cursor> cursor(Table table) const = 0;
};

// One thread writes and reads. A write is visible at once, and durable after a later flush; between the
// writes of one flush a crash keeps all or none. A cursor is invalid after the next write.
class Engine : public Reader {
 public:
  // Makes what was written before begin_flush() durable; runs on any thread.
  using FlushJob = std::move_only_function<IoResult<void>()>;

  virtual void put(Table table, std::string_view key, Bytes value) = 0;
  virtual void erase(Table table, std::string_view key) = 0;
  virtual void write(const Batch& batch);  // for many rows at once
  // Why a write could not be done, where that stops no process: of a staging engine. Flushes tell it too.
  [[nodiscard]] virtual std::optional<IoError> failure() const { return std::nullopt; }
  // Called on the writing thread. One flush at a time: the next one begins after the job of the last one ran,
  // or was dropped.
  [[nodiscard]] virtual FlushJob begin_flush() = 0;
  [[nodiscard]] IoResult<void> flush() { return begin_flush()(); }
  // A view of this moment, unaffected by later writes; may be read from another thread.
  [[nodiscard]] virtual std::shared_ptr<const Reader> snapshot() const = 0;
  [[nodiscard]] virtual std::uint64_t bytes_on_disk() const = 0;    // an estimate
  [[nodiscard]] virtual std::uint64_t bytes_in_use() const = 0;     // an estimate
  [[nodiscard]] virtual std::uint64_t bytes_unflushed() const = 0;  // that a flush() would write, at most
  // Work that gives back the space of what was erased. It takes long, and may be done on any thread, also
  // after the engine is closed or replaced; setting `cancel` ends it early.
  using Compaction = std::function<IoResult<void>(std::atomic<bool>& cancel)>;
  [[nodiscard]] virtual Compaction compaction() = 0;
};

// Where the state of one keyspace lives: the live engine, and beside it the one a received snapshot is
// written to. promote() survives a crash at any point: afterwards either the old or the new state is live.
class EngineHome {
 public:
  EngineHome() = default;
  EngineHome(const EngineHome&) = delete;
  EngineHome& operator=(const EngineHome&) = delete;
  virtual ~EngineHome() = default;
  [[nodiscard]] virtual IoResult<std::unique_ptr<Engine>> open_live() = 0;       // created if missing
  [[nodiscard]] virtual IoResult<std::unique_ptr<Engine>> create_staging() = 0;  // an earlier one is dropped
  [[nodiscard]] virtual IoResult<std::unique_ptr<Engine>> open_staging() = 0;    // not_found if there is none
  // Every engine of this home must be closed. Snapshots of the live one, and their cursors, may still be
  // read: the state they show goes with the last of them.
  [[nodiscard]] virtual IoResult<void> promote_staging() = 0;
  virtual void discard_staging() = 0;
  // The live state is of no use any more: the next one to be opened is empty. No engine may be open.
  [[nodiscard]] virtual IoResult<void> set_aside_live() = 0;
};

}  // namespace quorate::storage
