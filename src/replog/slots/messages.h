// What the slot-by-slot log agrees on in each slot, and what its nodes tell each other beside the messages of
// the agreement protocol.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/entry.h"
#include "core/ids.h"
#include "core/replicated_log.h"

namespace quorate::slots {

// The value of a slot. Who proposed it is part of it: only so can a proposer tell that a slot went to its own
// proposal and not to an equal one. `origin` none: not known any more (a node does not keep it in its log).
struct Value {
  NodeId origin;
  std::uint64_t incarnation = 0;  // of the origin: its starts, counted durably
  std::uint64_t sequence = 0;     // within the incarnation
  EntryKind kind = EntryKind::noop;
  Bytes payload;
  friend bool operator==(const Value&, const Value&) = default;
};
BOOST_DESCRIBE_STRUCT(Value, (), (origin, incarnation, sequence, kind, payload))

// A membership decided in slot `decided_at` and in force from slot `from` (the alpha-window); the initial one
// has decided_at 0 and from 1.
struct Configuration {
  Index decided_at;
  Index from;
  Membership membership;
  friend bool operator==(const Configuration&, const Configuration&) = default;
};
BOOST_DESCRIBE_STRUCT(Configuration, (), (decided_at, from, membership))

struct InSlot {  // a message of the slot's agreement
  static constexpr const char* name = "InSlot";
  Index slot;
  Bytes message;
};

struct Heartbeat {  // to all members, at intervals
  static constexpr const char* name = "Heartbeat";
  std::uint64_t priority = 0;
  bool eligible = false;      // the sender can lead: it votes, hears a majority both ways, is not far behind
  std::vector<NodeId> heard;  // whom the sender hears
  Index decided;              // the end of its contiguous prefix of decided slots
  Index seen;                 // the highest slot in which it saw anything happen
};

struct CatchUp {  // please send what was decided from this slot on
  static constexpr const char* name = "CatchUp";
  Index from;
};
struct Values {  // decided, in contiguous slots from `first`
  static constexpr const char* name = "Values";
  Index first;
  std::vector<Value> values;
  Index decided;                              // the end of the sender's prefix
  std::vector<Configuration> configurations;  // all that matter from `first` on; empty where nobody asked
};

struct ReadRequest {  // a member's batch of reads, to the leader; repeated until answered
  static constexpr const char* name = "ReadRequest";
  std::uint64_t incarnation = 0;
  std::uint64_t number = 0;
};
struct ReadAnswer {
  static constexpr const char* name = "ReadAnswer";
  std::uint64_t incarnation = 0;  // of the request, like the number
  std::uint64_t number = 0;
  Index index;  // none: the sender does not lead
};

struct TakeOver {  // lead in my place, above this priority
  static constexpr const char* name = "TakeOver";
  std::uint64_t priority = 0;
};

BOOST_DESCRIBE_STRUCT(InSlot, (), (slot, message))
BOOST_DESCRIBE_STRUCT(Heartbeat, (), (priority, eligible, heard, decided, seen))
BOOST_DESCRIBE_STRUCT(CatchUp, (), (from))
BOOST_DESCRIBE_STRUCT(Values, (), (first, values, decided, configurations))
BOOST_DESCRIBE_STRUCT(ReadRequest, (), (incarnation, number))
BOOST_DESCRIBE_STRUCT(ReadAnswer, (), (incarnation, number, index))
BOOST_DESCRIBE_STRUCT(TakeOver, (), (priority))

using Message = std::variant<InSlot, Heartbeat, CatchUp, Values, ReadRequest, ReadAnswer, TakeOver>;
using Out = Outbox<Message, replicated_log::Event>;

}  // namespace quorate::slots
