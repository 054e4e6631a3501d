// The multi-version store: revisions, the live keys, their history, its compaction and the hashes over it.
// Holds no key in memory: everything is read from the engine or the transaction at hand.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/describe.hpp>

#include "core/time.h"
#include "models/etcd/effort.h"
#include "models/etcd/key_range.h"
#include "models/etcd/past.h"
#include "models/etcd/tables.h"
#include "models/model.h"
#include "models/pace.h"
#include "storage/engine.h"
#include "storage/transaction.h"

namespace quorate::models::etcd {

// A set hash: the sum of the hashes of its elements, in two independent lanes modulo 2^64, so that elements
// are added and removed in any order at the cost of one hash. (AdHash, Bellare and Micciancio 1997, over
// XXH3; it guards against faults, not against an adversary who chooses keys.)
struct SetHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const SetHash&, const SetHash&) = default;
  void add(std::string_view element);
  void remove(std::string_view element);
};
BOOST_DESCRIBE_STRUCT(SetHash, (), (low, high))

// Everything about the state that is not in a row of its own. Stored once for every batch that changes it.
struct State {
  std::int64_t revision = 1;
  std::int64_t compacted = 0;  // reads and watches below it are refused
  std::int64_t keys = 0;       // live
  std::uint64_t chain = 0;     // running hash of all history
  SetHash live;                // of live records, leases and published nodes
  Duration log_time{};
  std::int64_t sweep_to = 0;        // a compaction being carried out; 0: none
  std::int64_t sweep_revision = 0;  // the next event it looks at
  std::uint32_t sweep_sub = 0;
  std::int64_t bytes = 0;   // of all kept revisions: keys, values, and what is stored with each
  std::uint64_t ticks = 0;  // that counted
  ClockReading last_tick;   // what the last of them told
  friend bool operator==(const State&, const State&) = default;
};
BOOST_DESCRIBE_STRUCT(State, (),
                      (revision, compacted, keys, chain, live, log_time, sweep_to, sweep_revision, sweep_sub,
                       bytes, ticks, last_tick))

State load_state(const storage::Reader& reader);
void save_state(const State& state, storage::Transaction& txn);

// The row of the live record of `key`; false, and an empty row, if there is none.
bool read_current(const storage::Reader& reader, std::string_view key, std::string& row);
// What one change was, for watchers.
struct Change {
  std::int64_t revision = 0;
  bool deleted = false;
  std::string key;
  std::string tail;
  std::optional<std::string> prev;  // tail of the record before, where it is from an earlier revision
};
using ChangeSink = std::vector<Change>*;  // null: nobody watches

// Memory that is used again for every command.
struct Scratch {
  std::string old;
  std::string event;
  std::string element;
  std::string row;
};

// The changes of one command: all get the same revision, one above the last, if there are any.
class Writer {
 public:
  Writer(State& state, storage::Transaction& txn, ChangeSink sink, Scratch& scratch)
      : state_(state), txn_(txn), sink_(sink), scratch_(scratch) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // `old` is the row of the live record, empty if there is none. The lease must exist (or be 0).
  void put(std::string_view key, std::string_view value, std::int64_t lease, std::string_view old);
  void erase(std::string_view key, std::string_view old);
  // Makes the new revision the store's; the command's further changes, if any, get a next one.
  void finish();

  [[nodiscard]] bool changed() const { return subs_ != 0; }
  [[nodiscard]] bool tells() const { return sink_ != nullptr; }
  // As a read within the command sees it.
  [[nodiscard]] std::int64_t revision() const { return state_.revision + (changed() ? 1 : 0); }
  [[nodiscard]] const storage::Transaction& reader() const { return txn_; }
  [[nodiscard]] Scratch& scratch() { return scratch_; }

 private:
  void record(bool deleted, std::string_view key, const Record& after, std::string_view old,
              const Record& before);
  void store(bool deleted, std::string_view key, Position at, std::size_t tail_at);

  State& state_;
  storage::Transaction& txn_;
  ChangeSink sink_;
  std::uint32_t subs_ = 0;
  Scratch& scratch_;
};

// Walks the records of a range in key order, as of now (revision 0) or of an earlier revision. It ends early
// once its effort is spent, if it has one.
class Scan {
 public:
  Scan(const storage::Reader& reader, KeyRange range, std::int64_t revision, Effort* effort = nullptr);
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;
  [[nodiscard]] bool valid() const;
  void next();
  [[nodiscard]] std::string_view key() const;
  [[nodiscard]] std::string_view tail() const;
  [[nodiscard]] std::string_view row() const {
    return cursor_ ? cursor_->value() : row_;
  }  // only of a scan of now

 private:
  void read_point(const storage::Reader& reader, std::int64_t revision);

  KeyRange range_;
  Effort* effort_;
  std::unique_ptr<storage::Cursor> cursor_;  // of a range, now
  std::unique_ptr<PastScan> past_;           // of a range, earlier
  bool point_ = false;                       // at the record of a single key
  std::string row_;                          // of that one
};

// The running hash of history behind a further event.
std::uint64_t extend(std::uint64_t chain, std::string_view payload);

// Takes up a compaction to `revision`; sweeps carry it out. Reads are refused below state.compacted at once.
void begin_compaction(State& state, std::int64_t revision);

// Looks at some events, at most so many and of about so many bytes, and removes what the compaction makes
// unreachable: bounded work, so that a compaction of any size never stops the service.
class Sweep {
 public:
  Sweep(State& state, storage::Transaction& txn, std::size_t events, std::size_t bytes)
      : state_(state), txn_(txn), events_(events), bytes_(bytes) {}
  bool go_on(Pace& pace);  // until the pace is spent, or the end: then true

 private:
  std::vector<Position> look(Pace& pace);

  static constexpr std::size_t units_per_erasure = 3;
  State& state_;
  storage::Transaction& txn_;
  std::size_t events_;
  std::size_t bytes_;
};

// The running hash of history up to `revision`, which must be between the compacted and the current one.
std::uint64_t chain_at(const storage::Reader& reader, const State& state, std::int64_t revision);

}  // namespace quorate::models::etcd
