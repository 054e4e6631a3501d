// Which segment of a log is the newest, told by the name of an empty file beside it. Else a log that lost its
// newest segment would look whole, only shorter: with votes and entries forgotten that were acknowledged.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/disk.h"

namespace quorate::storage::wal {

// 0 where nothing is noted: there is no log yet, or an older release wrote it.
[[nodiscard]] std::uint64_t noted_newest(const std::vector<std::string>& names);

class NewestNote {
 public:
  NewestNote(Disk& disk, std::uint64_t noted) : disk_(&disk), noted_(noted) {}

  // To be called when the segment is durable by its name, and before anything in it is acknowledged: whoever
  // finds it noted and not there knows that it was lost.
  [[nodiscard]] IoResult<void> move_to(std::uint64_t sequence);

 private:
  Disk* disk_;
  std::uint64_t noted_;
};

}  // namespace quorate::storage::wal
