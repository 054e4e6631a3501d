// A directory of the real file system as a Disk.
#pragma once

#include <memory>
#include <string>

#include "storage/disk.h"

namespace quorate::storage {

// Opens the directory, creating it and its parents where missing. It stays locked while the Disk lives: a
// second process (or a second Disk in this one) is refused with IoErrorKind::exists and the holder's pid.
// The lock file LOCK is not listed.
[[nodiscard]] IoResult<std::unique_ptr<Disk>> open_directory(const std::string& path);

// Makes creations, renames and removals within the directory durable.
[[nodiscard]] IoResult<void> sync_directory_at(const std::string& path);

}  // namespace quorate::storage
