// The family of replicated logs: many values, in one order, at every node. Raft, Multi-Paxos, ZAB and the
// adapters speak this vocabulary, so one host carries any state machine over any of them.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/effects.h"
#include "core/entry.h"
#include "core/protocol.h"

namespace quorate::replicated_log {

// Requests: what the host asks.

struct Propose {  // append these payloads, in order; `id` names the batch in a Refused
  std::uint64_t id = 0;
  std::vector<Bytes> payloads;
};

enum class ReadMode : std::uint8_t {
  quorum,  // confirmed by a quorum after the request (Raft thesis §6.4)
  lease,   // on the leader's lease where the protocol keeps one, else as quorum (§6.4.1)
};
// Answered by ReadReady: a state applied up to its index is fresh enough for all `ids`. Or refused; one of
// the two, however long it takes and whatever is lost or who leads meanwhile. So it is asked once; after a
// refusal it may be asked anew.
struct ReadBarrier {
  std::uint64_t id = 0;
  ReadMode mode = ReadMode::quorum;
};

// Move to these members (any set); answered by MembershipChanged or Refused. Refused as superseded, too, if
// others than `base` (see same_members) are in force: who chose them did not know that. An empty `base`
// accepts any.
struct Reconfigure {
  std::uint64_t id = 0;
  std::vector<Member> members;
  std::vector<Member> base = {};
};

struct TransferLeadership {
  std::uint64_t id = 0;  // answered by a LeaderChanged, or Refused
  NodeId to;
};

struct SnapshotAvailable {  // the host's own state at meta.index is durable: the log up to it may be cut
  SnapshotMeta meta;
};

struct SnapshotReceived {  // a whole state came from `from` and is durable beside the live one
  NodeId from;
  Epoch epoch;  // the sender's epoch when it sent it
  SnapshotMeta meta;
};

struct SnapshotDelivered {  // how a SendSnapshot ended
  NodeId to;
  Index index;  // of what was delivered
  bool ok = false;
};

using Request = std::variant<Propose, ReadBarrier, Reconfigure, TransferLeadership, SnapshotAvailable,
                             SnapshotReceived, SnapshotDelivered>;

// Events: what the protocol tells.

struct Committed {  // to be applied, in order, each index once
  std::vector<Entry> entries;
};

struct ReadReady {  // the reads may be served once `index` is applied
  std::vector<std::uint64_t> ids;
  Index index;
};

enum class Refusal : std::uint8_t {
  not_leader,       // ask `leader`, if known
  no_leader,        // none is known; try later
  busy,             // too much in flight; try later
  change_pending,   // another membership change or transfer is under way
  invalid,          // can never succeed as asked
  lost_leadership,  // accepted, but leadership ended before the outcome was known; the outcome may be either
  not_ready,        // a learner that is to vote lacks too much of the log
  superseded,       // another membership change came first: this one will never happen
};
struct Refused {
  std::uint64_t id = 0;
  Refusal reason = Refusal::no_leader;
  NodeId leader;  // a hint; none if unknown
};

struct LeaderChanged {  // the leader as this node sees it; none while there is none
  NodeId leader;
  Epoch epoch;
};

struct MembershipChanged {  // a membership entry took effect (on append, for Raft); committed = it is final
  Membership membership;
  Index index;
  bool committed = false;
};

struct SendSnapshot {  // bring `to` a state; the host answers with SnapshotDelivered
  NodeId to;
  Epoch epoch;  // passed to the receiver in SnapshotReceived
};

struct Restore {  // the received state at meta.index replaces the live one; later Committed follow it
  SnapshotMeta meta;
};

struct Halt {  // this node can not go on (its log contradicts what a quorum holds): stop with the reason
  std::string reason;
};

struct Rejoining {  // this node lost of its log what others counted on; it abstains from what could harm them
  bool over = false;  // until it has all of that again: now
};

using Event = std::variant<Committed, ReadReady, Refused, LeaderChanged, MembershipChanged, SendSnapshot,
                           Restore, Halt, Rejoining>;

BOOST_DESCRIBE_STRUCT(Propose, (), (id, payloads))
BOOST_DESCRIBE_STRUCT(ReadBarrier, (), (id, mode))
BOOST_DESCRIBE_STRUCT(Reconfigure, (), (id, members, base))
BOOST_DESCRIBE_STRUCT(TransferLeadership, (), (id, to))
BOOST_DESCRIBE_STRUCT(SnapshotAvailable, (), (meta))
BOOST_DESCRIBE_STRUCT(SnapshotReceived, (), (from, epoch, meta))
BOOST_DESCRIBE_STRUCT(SnapshotDelivered, (), (to, index, ok))
BOOST_DESCRIBE_STRUCT(Committed, (), (entries))
BOOST_DESCRIBE_STRUCT(ReadReady, (), (ids, index))
BOOST_DESCRIBE_STRUCT(Refused, (), (id, reason, leader))
BOOST_DESCRIBE_STRUCT(LeaderChanged, (), (leader, epoch))
BOOST_DESCRIBE_STRUCT(MembershipChanged, (), (membership, index, committed))
BOOST_DESCRIBE_STRUCT(SendSnapshot, (), (to, epoch))
BOOST_DESCRIBE_STRUCT(Restore, (), (meta))
BOOST_DESCRIBE_STRUCT(Halt, (), (reason))
BOOST_DESCRIBE_STRUCT(Rejoining, (), (over))

// What any protocol of the family is constructed from. `options` are the protocol's own settings by name,
// as they stand in the configuration file.
struct Settings {
  NodeId self;
  Membership initial;                 // used only when nothing was recovered
  Duration round_trip = 10ms;         // expected between members; time-outs derive from it
  Duration election_timeout = 150ms;  // minimum; randomised upward
  Duration heartbeat = 30ms;
  std::uint32_t max_clock_drift_ppm = 10'000;  // bound on the relative speed of two nodes' clocks, for leases
  std::size_t max_batch_bytes = 1U << 20U;     // of one message's entries
  std::size_t max_inflight = 64;               // unacknowledged append messages to one follower
  // What is kept in memory behind a snapshot for followers that lag a little: so many entries, of so many
  // bytes.
  std::size_t keep_entries = 4096;
  std::size_t keep_bytes = 16U << 20U;
};

using Protocol = Driver<Request, Event>;
using Factory = std::function<std::unique_ptr<Protocol>(const Settings&, Recovered)>;

// The durable writes of a node that begins with a state made elsewhere, such as a restored backup: all voters
// of `state.membership` begin so, with the same state.
using Begin = std::vector<Write> (*)(const SnapshotMeta& state);

// The durable writes, records and a snapshot, with which a node goes on whose log was damaged. `records` are
// all it had, none is missing; of its entries it has none; its state is that of `state`, if it has any. One
// of index 0 tells only who the members were: the state is lost, too. An error says why it can not go on so.
using Rejoin = std::expected<std::vector<Write>, std::string> (*)(NodeId self,
                                                                  const std::map<RecordKey, Bytes>& records,
                                                                  const std::optional<SnapshotMeta>& state);

}  // namespace quorate::replicated_log
