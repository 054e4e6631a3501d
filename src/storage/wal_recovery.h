// Reads a log back: which batches count, what they amount to, and where writing goes on.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/entry.h"
#include "storage/disk.h"
#include "storage/wal.h"
#include "storage/wal_codec.h"
#include "storage/wal_format.h"
#include "storage/wal_segment.h"

namespace quorate::storage::wal {

struct RecoveredLog {
  States states;
  std::map<KeyspaceId, Recovered> keyspaces;
  std::map<std::uint64_t, std::uint64_t>
      segments;                       // sequence of each still needed, and where its batches end
  std::vector<std::string> released;  // segments that are not needed
  std::vector<std::string> spares;
  std::uint64_t noted = 0;     // NewestNote
  SegmentWriter writer;        // stands behind the last batch of the last segment
  std::uint64_t capacity = 0;  // of the last segment
  std::uint64_t next_batch = 1;
  std::uint32_t plain_before = 0;  // the next batch's Plainness
  std::uint64_t torn_bytes = 0;
  [[nodiscard]] bool fresh() const { return segments.empty(); }
};

[[nodiscard]] std::expected<RecoveredLog, WalError> recover(Disk& disk, const Identity& identity);

}  // namespace quorate::storage::wal
