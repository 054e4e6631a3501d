// What RocksDB may do to a disk that is nearly full.
//
// By itself it compacts until the disk has no byte left, of which the node's log is in need too. And once it
// has met a full disk, it takes up no compaction whose input is larger than half of what is free: the one
// that would give back the space of deleted rows first of all, and that until it is opened anew. With a Room,
// the sorted files that it writes leave some space free; a compaction that comes to that bound fails, leaves
// nothing behind and is tried again after a while, or at once if it is asked for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/io_status.h>
#include <rocksdb/options.h>

namespace quorate::storage::rocks {

class Room : public std::enable_shared_from_this<Room> {
 public:
  // Bytes that sorted files at this path may still take; `asked` while a compaction is under way that is
  // asked for, which may go further.
  using Left = std::function<std::uint64_t(const std::string& path, bool asked)>;

  explicit Room(Left left) : left_(std::move(left)) {}

  // The settings of a database that keeps to the room; it has to outlive the database.
  void keep_to_it(rocksdb::DBOptions& options);

  // As long as it lives, a compaction is asked for: none is put off.
  class Asked {
   public:
    explicit Asked(std::shared_ptr<Room> room) : room_(std::move(room)) { ++room_->asked_; }
    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;
    ~Asked() { --room_->asked_; }

   private:
    std::shared_ptr<Room> room_;
  };

  [[nodiscard]] std::uint64_t left(const std::string& path) const { return left_(path, asked_ > 0); }
  [[nodiscard]] rocksdb::IOStatus admit_file(const std::string& path);
  [[nodiscard]] rocksdb::IOStatus admit(const std::string& path, std::uint64_t bytes);

 private:
  using Clock = std::chrono::steady_clock;

  Left left_;
  std::unique_ptr<rocksdb::Env> env_;
  std::atomic<int> asked_{0};
  std::atomic<Clock::duration> put_off_until_{Clock::duration::min()};
};

// What is free, but for `spare_bytes` or a 32nd of a smaller file system; of these, a quarter if it is asked
// for.
[[nodiscard]] Room::Left all_but(std::uint64_t spare_bytes);

}  // namespace quorate::storage::rocks
