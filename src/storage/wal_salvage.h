// What can be saved of a damaged log: the records of its keyspaces, where none of them can be missing.
//
// The last segment begins with a checkpoint, which holds all records as of then; the batches behind it hold
// the later ones. A batch that can not be read is passed over only if it is known to be plain, by its own
// header or by that of an intact batch behind it. What ends the log is judged as recovery does.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "storage/disk.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace quorate::storage::wal {

[[nodiscard]] std::expected<Wal::Salvage, WalError> salvage(Disk& disk, const Identity& identity);

// Renames the segments among `names` out of the log's way, and removes those set aside earlier.
[[nodiscard]] IoResult<void> set_aside(Disk& disk, const std::vector<std::string>& names);

}  // namespace quorate::storage::wal
