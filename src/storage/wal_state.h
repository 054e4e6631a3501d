// What the durable writes of one keyspace amount to, without the entries themselves: enough for a checkpoint
// and for knowing which segments are still needed.
//
// The meaning of each write, for log, recovery and anyone who models them:
//   PutRecord      the last value of a key; an empty value erases the key
//   AppendEntries  must begin behind `last`
//   TruncateFrom   last = max(index - 1, snapshot index) where index <= last, else nothing
//   SnapshotTaken  ignored where older than the present one; last = max(last, index)
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "core/entry.h"
#include "core/ids.h"

namespace quorate::storage::wal {

class KeyspaceState {
 public:
  void put(const PutRecord& record);
  // False, and nothing changed, where the entries do not follow the last one.
  [[nodiscard]] bool append(Index first, std::uint64_t count, std::uint64_t segment);
  void truncate(Index from);
  void take_snapshot(const SnapshotMeta& meta);

  [[nodiscard]] const std::map<RecordKey, Bytes>& records() const { return records_; }
  [[nodiscard]] const std::optional<SnapshotMeta>& snapshot() const { return snapshot_; }
  [[nodiscard]] Index snapshot_index() const { return snapshot_ ? snapshot_->index : Index(); }
  [[nodiscard]] Index last() const { return last_; }
  // The segment that holds the first entry behind the snapshot; none where there is no such entry.
  [[nodiscard]] std::optional<std::uint64_t> oldest_segment() const;

  // As read from a checkpoint: the entries are in older segments.
  static KeyspaceState restored(std::map<RecordKey, Bytes> records, std::optional<SnapshotMeta> snapshot,
                                Index last);
  [[nodiscard]] bool same_as(const KeyspaceState& other) const;

 private:
  void forget_behind_snapshot();

  struct Extent {  // entries from `first` on, up to the next extent, were appended in this segment
    std::uint64_t segment;
    Index first;
  };
  std::map<RecordKey, Bytes> records_;
  std::optional<SnapshotMeta> snapshot_;
  Index last_;
  std::deque<Extent> extents_;
};

}  // namespace quorate::storage::wal
