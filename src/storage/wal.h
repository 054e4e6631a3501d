// The write-ahead log of a node, shared by all its keyspaces: one append and one flush make the writes of
// every keyspace in a batch durable (group commit). Segments are preallocated and recycled, since flushing
// over space that was written before takes half the time of appending.
//
// File format: docs/design/formats.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/entry.h"
#include "core/ids.h"
#include "storage/disk.h"

namespace quorate::storage {

struct WalConfig {
  std::uint64_t segment_bytes = 64U << 20U;
  ClusterId cluster;  // a log of another cluster or node is refused
  NodeId node;
};

struct WalError {
  enum class Kind : std::uint8_t {
    io,
    corrupt,        // what was durable is damaged; see Wal::salvage()
    contradiction,  // each part is intact, and together they make no sense: a fault of a program
    alien,
    version,
  };
  Kind kind = Kind::io;
  std::string what;  // names the file, the offset and what to do
};

class Wal {
 public:
  struct Opened;
  // Recovers what is there, or starts a new log. A torn tail (a crash within the last flush) is cut;
  // damage in front of intact records is an error of kind `corrupt`, never cut.
  static std::expected<Opened, WalError> open(Disk& disk, const WalConfig& config);

  // What a log that open() calls corrupt still holds: the records of all keyspaces, if it can be proven that
  // not one is missing, else an error that says why it can not. Of entries and snapshots nothing is told.
  // Changes nothing.
  struct Salvage {
    std::map<KeyspaceId, std::map<RecordKey, Bytes>> records;
    std::uint64_t last_segment = 0;
    std::uint64_t next_batch = 1;
  };
  static std::expected<Salvage, WalError> salvage(Disk& disk, const WalConfig& config);
  // A new log takes the place of the damaged one, by one renaming. Each keyspace begins with these writes:
  // records and a snapshot. The segments of the damaged log are set aside, in the place of those set aside
  // before.
  static std::expected<void, WalError> begin_anew(Disk& disk, const WalConfig& config, const Salvage& salvage,
                                                  const std::map<KeyspaceId, std::vector<Write>>& keyspaces);

  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;
  virtual ~Wal() = default;

  // Adds one atomic group of writes to the batch; durable after the next sync() that returns a value.
  virtual void append(KeyspaceId keyspace, std::span<const Write> writes) = 0;
  // One write and one fdatasync for all that was appended. After an error the log is closed for good:
  // the process must stop and recover from what is on disk.
  [[nodiscard]] virtual IoResult<void> sync() = 0;
  [[nodiscard]] virtual std::uint64_t pending_bytes() const = 0;  // appended, not yet synced

  struct Stats {
    std::uint64_t segments = 0;        // on disk, recycled ones included
    std::uint64_t live_bytes = 0;      // from the oldest segment still needed
    std::uint64_t appended_bytes = 0;  // since open
    std::uint64_t syncs = 0;
    // Whose entries keep the oldest segment, where that is not the current one: a snapshot of this keyspace
    // makes the log shorter.
    KeyspaceId oldest_keyspace;
  };
  [[nodiscard]] virtual Stats stats() const = 0;  // as of the last sync(); from any thread

 protected:
  Wal() = default;
};

struct Wal::Opened {
  std::unique_ptr<Wal> wal;
  std::map<KeyspaceId, Recovered> keyspaces;
  std::uint64_t torn_bytes = 0;  // cut from the tail
};

}  // namespace quorate::storage
