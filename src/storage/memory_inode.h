// A file of the simulator's disk: what is seen of it, and what would be found after a crash.
//
// Nearly always the two differ by nothing but what was done since the last sync, so that alone is kept, with
// what it replaced: a sync costs nothing, and there is one copy of the file. Only behind a failed sync, which
// leaves seen what will never be written, there are two.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/memory_disk.h"

namespace quorate::storage {

class MemoryInode {
 public:
  [[nodiscard]] const std::string& bytes() const { return bytes_; }  // as seen
  void write(std::uint64_t offset, std::string_view data);
  void resize(std::uint64_t to);
  void sync();
  void fail_sync();  // what was not synced looks clean, and will never be written

  // After a crash: the disk may have written any of what was not synced, in any order, sector by sector.
  void settle(Rng& rng, MemoryDisk::Survival survival);

  void replace(std::string bytes);  // durable
  void flip(std::uint64_t bit);     // durable
  [[nodiscard]] bool shows_unwritten() const;
  [[nodiscard]] std::string before_last_write() const;  // of what it changed

  // From now on the sector can not be read, or what is at `instead` is read in its place.
  void spoil(std::uint64_t offset, std::optional<std::uint64_t> instead);
  [[nodiscard]] bool spoiled() const { return !spoiled_.empty(); }
  // What a read from `offset` finds in the sectors that are bad; false if one can not be read at all.
  [[nodiscard]] bool spoil_read(std::uint64_t offset, std::string& read) const;

 private:
  struct Change {
    bool resize = false;  // to `offset`; otherwise `length` bytes were written there
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t size = 0;  // of the file before
    std::string replaced;    // what stood in its place, or what was cut off
  };

  // The changes since the last sync; their memory is used again.
  [[nodiscard]] std::span<const Change> pending() const { return {changes_.data(), pending_}; }
  Change& next_change();
  void forget_pending();
  [[nodiscard]] std::size_t unchanged_tail(std::uint64_t offset, std::string_view data) const;
  // The file without them, and what each of them wrote: found by taking them back, the newest first.
  struct Undone {
    std::string bytes;
    std::vector<std::string> written;
  };
  [[nodiscard]] Undone undone() const;
  void keep(std::uint64_t number, std::string_view written, std::string& durable) const;
  void keep_front(Rng& rng, std::span<const std::string> written, std::string& durable) const;
  static void keep_some(Rng& rng, const Change& change, std::string_view written, bool sectors_apart,
                        std::string& durable);

  std::string bytes_;
  std::vector<Change> changes_;
  std::size_t pending_ = 0;
  std::optional<std::string> diverged_;  // what is durable, where that is not `bytes_` without the changes
  std::uint64_t last_write_ = 0;         // its offset
  std::string overwritten_;              // by the last write, once it is synced
  std::map<std::uint64_t, std::optional<std::uint64_t>> spoiled_;  // sectors, and what is read instead
};

// Bit `bit` of `bytes`, counted round.
void flip_bit(std::string& bytes, std::uint64_t bit);

}  // namespace quorate::storage
