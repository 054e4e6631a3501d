// The family of agreement protocols: one value, once. Basic Paxos, Chandra-Toueg and Ben-Or speak this.
#pragma once

#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/effects.h"
#include "core/protocol.h"

namespace quorate::agreement {

struct Propose {  // this node wants `value`; the outcome may be another's
  Bytes value;
};
struct Learn {};  // find out what, if anything, was decided, without wanting a value
using Request = std::variant<Propose, Learn>;

struct Decided {  // emitted once per instance and start; the same value at every node
  Bytes value;
};
using Event = std::variant<Decided>;

BOOST_DESCRIBE_STRUCT(Propose, (), (value))
BOOST_DESCRIBE_STRUCT(Learn, (), ())
BOOST_DESCRIBE_STRUCT(Decided, (), (value))

struct Settings {
  NodeId self;
  std::vector<NodeId> members;  // sorted
  Duration round_trip = 10ms;   // expected between members; retries derive from it
};

using Protocol = Driver<Request, Event>;

}  // namespace quorate::agreement
