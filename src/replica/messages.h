// What replicas of one keyspace send each other beside the protocol's own messages, and what they put into
// the log. A frame is an encoded Frame.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/entry.h"
#include "core/ids.h"

namespace quorate::replica {

// Names a command for good: the node that took it from a client, that node's incarnation, and a number.
// A command that reaches the log twice (a retry, a duplicated message) is executed once.
struct RequestId {
  NodeId origin;
  std::uint64_t incarnation = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const RequestId&, const RequestId&) = default;
};
BOOST_DESCRIBE_STRUCT(RequestId, (), (origin, incarnation, number))

struct Command {
  RequestId id;
  std::uint64_t settled = 0;  // every number of this incarnation up to this has its outcome: forget them
  Bytes body;                 // the model's
};
BOOST_DESCRIBE_STRUCT(Command, (), (id, settled, body))

struct CommandBatch {  // the payload of one log entry
  std::vector<Command> commands;
};
BOOST_DESCRIBE_STRUCT(CommandBatch, (), (commands))

struct ProtocolFrame {
  Bytes message;
};

struct Forward {  // please propose these; their outcome is seen in the log
  std::vector<Command> commands;
};

struct ForwardRefused {  // not here; `leader` may know better
  std::vector<RequestId> ids;
  NodeId leader;
  bool busy = false;
};

struct ForwardReconfigure {
  std::uint64_t id = 0;
  std::vector<Member> members;
  std::uint64_t incarnation = 0;  // of the asking node, whose ids begin anew with each
  std::vector<Member> base = {};  // whom they were chosen to replace; empty: whoever there is
};
struct ForwardTransfer {
  std::uint64_t id = 0;
  NodeId to;
  std::uint64_t incarnation = 0;
};
// To either of the two: accepted by the leader, or not. What was accepted and comes to nothing is answered a
// second time.
struct ForwardAnswer {
  std::uint64_t id = 0;
  bool accepted = false;
  std::uint8_t refusal = 0;  // replicated_log::Refusal where not accepted
  NodeId leader;
  std::uint64_t incarnation = 0;  // as it was asked
};

// Snapshot transfer: the sender pins a state and sends it in chunks, each acknowledged; the receiver asks on
// from where it is, so a lost chunk or a broken connection costs that chunk only.
struct SnapshotRow {
  std::uint8_t table = 0;
  Bytes key;
  Bytes value;
};
struct SnapshotChunk {
  std::uint64_t transfer = 0;  // names the pinned state at its sender
  Epoch epoch;                 // the protocol's, from SendSnapshot
  SnapshotMeta meta;
  std::uint64_t number = 0;  // 0, 1, 2, ...
  std::vector<SnapshotRow> rows;
  bool last = false;
};
struct SnapshotAck {
  std::uint64_t transfer = 0;
  std::uint64_t next = 0;  // the chunk wanted next
  bool done = false;       // all there and durable
  bool refused = false;    // not wanted (any more)
};

// The states of all replicas are compared at an index: the leader asks, each tells the digest it had there.
struct DigestAsk {
  Index index;
};
struct DigestTold {
  Index index;
  Bytes digest;
  std::uint32_t format = 0;  // the model's; digests of another one are not comparable
};

using Frame = std::variant<ProtocolFrame, Forward, ForwardRefused, ForwardReconfigure, ForwardTransfer,
                           ForwardAnswer, SnapshotChunk, SnapshotAck, DigestAsk, DigestTold>;

BOOST_DESCRIBE_STRUCT(ProtocolFrame, (), (message))
BOOST_DESCRIBE_STRUCT(Forward, (), (commands))
BOOST_DESCRIBE_STRUCT(ForwardRefused, (), (ids, leader, busy))
BOOST_DESCRIBE_STRUCT(ForwardReconfigure, (), (id, members, incarnation, base))
BOOST_DESCRIBE_STRUCT(ForwardTransfer, (), (id, to, incarnation))
BOOST_DESCRIBE_STRUCT(ForwardAnswer, (), (id, accepted, refusal, leader, incarnation))
BOOST_DESCRIBE_STRUCT(SnapshotRow, (), (table, key, value))
BOOST_DESCRIBE_STRUCT(SnapshotChunk, (), (transfer, epoch, meta, number, rows, last))
BOOST_DESCRIBE_STRUCT(SnapshotAck, (), (transfer, next, done, refused))
BOOST_DESCRIBE_STRUCT(DigestAsk, (), (index))
BOOST_DESCRIBE_STRUCT(DigestTold, (), (index, digest, format))

}  // namespace quorate::replica
