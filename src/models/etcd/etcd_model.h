// The etcd v3 data model: revisions, multi-version keys, transactions, leases, compaction, watches.
//
// A command is one Op byte and the etcd API's request in protobuf form; it is applied without re-encoding.
// A result is an encoded Result. Leases live in log time: a clock that only advances by Op::tick commands,
// which the leader's model asks for while leases exist. A keep-alive is a command. So expiry is decided once,
// in the log, and a leader that was paused or replaced revokes nothing early (docs/adr/0004-log-time.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/node_info.h"
#include "models/model.h"

namespace etcdserverpb {
class RangeRequest;
class TxnRequest;
class LeaseTimeToLiveRequest;
class HashKVRequest;
}  // namespace etcdserverpb

namespace quorate::models::etcd {

enum class Op : std::uint8_t {
  put = 1,               // etcdserverpb.PutRequest
  delete_range = 2,      // etcdserverpb.DeleteRangeRequest
  txn = 3,               // etcdserverpb.TxnRequest
  compact = 4,           // etcdserverpb.CompactionRequest
  lease_grant = 5,       // etcdserverpb.LeaseGrantRequest, with ID already chosen (not 0)
  lease_revoke = 6,      // etcdserverpb.LeaseRevokeRequest
  lease_keep_alive = 7,  // etcdserverpb.LeaseKeepAliveRequest
  tick = 8,              // codec: Tick
  publish = 9,           // codec: Publish
  alarm = 10,            // etcdserverpb.AlarmRequest
};

// Counts only as the next behind those that its proposer had applied when it read its clock. Then what passed
// since the one before, if that one is of the same clock.
struct Tick {
  ClockReading now;
  std::uint64_t behind = 0;  // ticks that counted
};
BOOST_DESCRIBE_STRUCT(Tick, (), (now, behind))

// What one tick counts at most: time in which nothing could be committed, nobody could keep a lease alive in.
inline constexpr Duration longest_tick = 1s;

struct Publish {  // a node that started tells its name and addresses
  NodeId node;
  NodeInfo info;
};
BOOST_DESCRIBE_STRUCT(Publish, (), (node, info))

// Each maps to one of etcd's rpctypes errors (gRPC code and text) in api/etcd/errors.h.
enum class Error : std::uint8_t {
  none = 0,
  empty_key,
  key_not_found,  // ignore_value / ignore_lease of a missing key
  value_provided,
  lease_provided,
  too_many_ops,
  duplicate_key,
  compacted,
  future_revision,
  lease_not_found,
  lease_exists,
  lease_ttl_too_large,
  invalid_sort_option,
  malformed,  // the command does not parse
  too_large,  // the response would be larger than it may be, or the work for it more
  no_space,   // the NOSPACE alarm is raised
  corrupt,    // the CORRUPT alarm is raised
};

// `body` is the response's protobuf encoding without its header (field 1 of every response): the API writes
// the header in front of it, with `revision` in it.
struct Result {
  Error error = Error::none;
  std::int64_t revision = 0;  // of the store after the command (reads: at the time of reading)
  Bytes body;
  friend bool operator==(const Result&, const Result&) = default;
};
BOOST_DESCRIBE_STRUCT(Result, (), (error, revision, body))

Bytes command(Op op, std::string_view request);

// Watching. A watcher is a cursor over the history: it has seen everything below `next`, is told (once, until
// it polls) that there is more, and takes events when its consumer has room, so a slow consumer costs no
// memory. Events come whole revisions at a time, in order, without gaps, none twice.
using WatchId = std::uint64_t;

struct WatchSpec {
  std::string key;
  std::string range_end = {};       // empty: the one key; "\0": everything from key on
  std::int64_t start_revision = 0;  // 0: from the next revision on
  bool prev_kv = false;
  bool no_put = false;
  bool no_delete = false;
};

struct WatchBatch {
  std::int64_t revision = 0;            // every event up to and including this revision has been delivered
  std::int64_t compact_revision = 0;    // not 0: the watcher fell behind compaction and is gone
  std::vector<Bytes> events;            // mvccpb.Event encodings, in order
  std::vector<std::int64_t> revisions;  // of each event
  bool more = false;                    // poll again
  std::size_t rows = 0;                 // that were looked at or are given: the work that it was
  std::uint64_t same = 0;               // not 0: batches with the same number have the same events
};

class WatchHub {
 public:
  WatchHub() = default;
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;
  virtual ~WatchHub() = default;
  // `ready` is called (never from within add or poll) when poll() would give something after it gave nothing.
  virtual WatchId add(WatchSpec spec, std::move_only_function<void()> ready) = 0;
  virtual void remove(WatchId id) = 0;
  // Events up to about `max_bytes`. A revision is never split: one that is larger comes alone. A watcher that
  // reads far in the past, or a large revision, may get a batch without events and with `more`: each poll
  // does bounded work, but for handing over what is of one revision.
  virtual WatchBatch poll(WatchId id, std::size_t max_bytes) = 0;
  // True when the watcher has seen everything up to the current revision.
  [[nodiscard]] virtual bool synced(WatchId id) const = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;
};

struct Alarm {
  NodeId member;
  int type = 0;  // etcdserverpb.AlarmType
};

struct Statistics {
  std::int64_t revision = 0;
  std::int64_t compact_revision = 0;
  std::uint64_t keys = 0;   // live
  std::uint64_t bytes = 0;  // of all kept revisions, keys and values: what a quota is of
  std::uint64_t leases = 0;
  std::uint64_t watchers = 0;
};

// Where a range that is read in parts stands; begins empty.
struct RangeCursor {
  std::string next = {};  // the key the next part begins with; empty: the request's
  std::int64_t revision =
      0;  // of the store at the first part: of every part's Result, and what is read by default
  std::int64_t taken = 0;  // records given
  std::int64_t seen = 0;   // keys of the range passed
  bool done = false;       // that was the last part
};

// A read that takes long: of the state of the moment it was asked for, and on whatever thread it is called.
using LongRead = std::move_only_function<Result()>;
using Reading = std::variant<Result, LongRead>;
// Whether every row of the state is as it was written; also long, and on any thread.
using Audit = std::move_only_function<bool()>;

class EtcdModel : public Model {
 public:
  // `most_answer_bytes`: of one answer to a read that is no command; too_large beyond. A message can not hold
  // more than twice what is given by default.
  static std::unique_ptr<EtcdModel> create(std::size_t most_answer_bytes = std::size_t{1} << 30U);

  // Reads of the applied state. query() takes an Op-less RangeRequest and gives an encoded Result.
  virtual Result range(const etcdserverpb::RangeRequest& request) = 0;
  // The next part of a range, of about `max_bytes`. All parts are of one state; compacted if that is gone
  // meanwhile. The last part carries `more` and `count`. Sorting and filters need the whole:
  // invalid_sort_option.
  virtual Result range_part(const etcdserverpb::RangeRequest& request, RangeCursor& cursor,
                            std::size_t max_bytes) = 0;
  // A transaction without puts and deletes, executed as a read; malformed if it has any.
  virtual Result read_txn(const etcdserverpb::TxnRequest& request) = 0;
  // range() and read_txn() where they are little work; else the work, to be done where nobody waits for it.
  virtual Reading begin_range(const etcdserverpb::RangeRequest& request) { return range(request); }
  virtual Reading begin_read_txn(const etcdserverpb::TxnRequest& request) { return read_txn(request); }
  virtual Result lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request) = 0;
  virtual Result lease_leases() = 0;
  virtual Result hash_kv(
      const etcdserverpb::HashKVRequest& request) = 0;  // etcd's HashKV contract, not its function
  virtual Audit begin_audit() {
    return [] { return true; };
  }
  virtual WatchHub& watches() = 0;
  [[nodiscard]] virtual std::int64_t revision() const = 0;
  [[nodiscard]] virtual std::map<NodeId, NodeInfo> published() const = 0;
  [[nodiscard]] virtual Statistics statistics() const = 0;
  [[nodiscard]] virtual std::vector<Alarm> alarms() const = 0;  // raised, by type and member
};

}  // namespace quorate::models::etcd
