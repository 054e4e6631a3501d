// What a replicated log is made of, and the four shapes in which a protocol makes anything durable.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/membership.h"

namespace quorate {

enum class EntryKind : std::uint8_t {
  noop = 0,        // a new leader's first entry; a filled gap
  payload = 1,     // opaque to the protocol; the host packs a batch of commands into it
  membership = 2,  // an encoded Membership
};

// False for a kind of a later version or of damage: to be refused before it is made durable.
constexpr bool known(EntryKind kind) { return kind <= EntryKind::membership; }

struct Entry {
  Epoch epoch;
  Index index;
  EntryKind kind = EntryKind::noop;
  Bytes payload;
  friend bool operator==(const Entry&, const Entry&) = default;
};
BOOST_DESCRIBE_STRUCT(Entry, (), (epoch, index, kind, payload))

// Describes the state after applying everything up to `index`. The state itself travels apart.
struct SnapshotMeta {
  Index index;
  Epoch epoch;            // of the entry at `index`
  Membership membership;  // in force at `index`
  Bytes digest;           // of the state; empty if none is kept
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};
BOOST_DESCRIBE_STRUCT(SnapshotMeta, (), (index, epoch, membership, digest))

using RecordKey = std::string;

struct PutRecord {  // a vote, a promise, a decision: the last value of a key; an empty value erases the key
  RecordKey key;
  Bytes value;
  friend bool operator==(const PutRecord&, const PutRecord&) = default;
};
struct AppendEntries {  // contiguous: follow the last entry, or the snapshot where the log is empty
  std::vector<Entry> entries;
  friend bool operator==(const AppendEntries&, const AppendEntries&) = default;
};
struct TruncateFrom {  // drops the entry at `index` and all behind it
  Index index;
  friend bool operator==(const TruncateFrom&, const TruncateFrom&) = default;
};
struct SnapshotTaken {  // the state at meta.index is safe elsewhere: entries up to it may be forgotten
  SnapshotMeta meta;    // if the log ends before meta.index, it restarts empty behind it
  friend bool operator==(const SnapshotTaken&, const SnapshotTaken&) = default;
};
BOOST_DESCRIBE_STRUCT(PutRecord, (), (key, value))
BOOST_DESCRIBE_STRUCT(AppendEntries, (), (entries))
BOOST_DESCRIBE_STRUCT(TruncateFrom, (), (index))
BOOST_DESCRIBE_STRUCT(SnapshotTaken, (), (meta))

using Write = std::variant<PutRecord, AppendEntries, TruncateFrom, SnapshotTaken>;

// What a protocol instance finds of itself when it starts again: exactly what its durable writes amount to.
struct Recovered {
  std::map<RecordKey, Bytes> records;
  std::optional<SnapshotMeta> snapshot;
  std::vector<Entry> log;  // contiguous; may begin at or below snapshot->index + 1
};

}  // namespace quorate
