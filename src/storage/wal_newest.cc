#include "storage/wal_newest.h"

#include <algorithm>

#include "storage/wal_format.h"

namespace quorate::storage::wal {

std::uint64_t noted_newest(const std::vector<std::string>& names) {
  std::uint64_t noted = 0;
  for (const auto& name : names) noted = std::max(noted, parse_newest_name(name).value_or(0));
  return noted;
}

IoResult<void> NewestNote::move_to(std::uint64_t sequence) {
  if (noted_ == sequence) return {};
  if (noted_ != 0) {
    if (auto renamed = disk_->rename(newest_name(noted_), newest_name(sequence)); !renamed) return renamed;
  } else if (auto created = disk_->create(newest_name(sequence)); !created) {
    return std::unexpected(created.error());
  }
  noted_ = sequence;
  return disk_->sync_directory();
}

}  // namespace quorate::storage::wal
