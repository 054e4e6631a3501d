// Files for the segments to come: released segments under a new name, and new files written over with zeroes
// a piece at a time, so that no sync() waits for a whole file to be prepared.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "storage/disk.h"

namespace quorate::storage::wal {

class SparePool {
 public:
  // `names`: the spare files that are there; those of another size are removed by the first prepare().
  SparePool(Disk& disk, std::uint64_t segment_bytes, const std::vector<std::string>& names);

  struct Spare {
    std::string name;
    std::unique_ptr<File> file;
    std::uint64_t written = 0;  // up to here it was written before; what follows is only allocated
  };
  // A file of at least `capacity` bytes whose content may be overwritten.
  [[nodiscard]] IoResult<Spare> take(std::uint64_t capacity);
  // Brings the next spare forward by about `budget` bytes. A disk too full for it is found out by take().
  void prepare(std::uint64_t budget);
  // The file becomes a spare, or is removed where there are enough.
  [[nodiscard]] IoResult<void> recycle(const std::string& name);
  [[nodiscard]] std::size_t count() const { return ready_.size() + (growing_.file ? 1 : 0); }

 private:
  [[nodiscard]] IoResult<Spare> make(std::uint64_t capacity);
  [[nodiscard]] bool usable(const std::string& name);

  Disk* disk_;
  std::uint64_t segment_bytes_;
  std::uint64_t next_number_ = 1;
  std::deque<std::string> ready_;
  std::size_t found_ = 0;  // of ready_, its first: left by an earlier process
  Spare growing_;
  bool gave_up_ = false;  // preparing failed; take() tries again
};

}  // namespace quorate::storage::wal
