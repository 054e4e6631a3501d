// The messages of Basic Paxos (Lamport, "Paxos Made Simple", 2001, §2.2 and §2.3).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/ids.h"

namespace quorate::paxos {

// The paper's proposal number: totally ordered, and never used by two proposers (§2.2: "different proposers
// choose their numbers from disjoint sets"), hence the node in it. Round 0 is "none".
struct Ballot {
  std::uint64_t round = 0;
  NodeId node;
  friend auto operator<=>(const Ballot&, const Ballot&) = default;
  [[nodiscard]] bool none() const { return round == 0; }
};
BOOST_DESCRIBE_STRUCT(Ballot, (), (round, node))

inline std::string to_string(const Ballot& n) { return std::to_string(n.round) + "." + to_string(n.node); }

struct Proposal {
  Ballot n;
  Bytes value;
  friend bool operator==(const Proposal&, const Proposal&) = default;
};
BOOST_DESCRIBE_STRUCT(Proposal, (), (n, value))

struct Prepare {  // phase 1a
  static constexpr const char* name = "Prepare";
  Ballot n;
};
struct Promise {  // phase 1b: "never again to accept a proposal numbered less than n"
  static constexpr const char* name = "Promise";
  Ballot n;
  std::optional<Proposal> accepted;  // the highest-numbered one accepted so far
};
struct Accept {  // phase 2a
  static constexpr const char* name = "Accept";
  Ballot n;
  Bytes value;
};
struct Accepted {  // phase 2b; the value only where the receiver did not propose it (an answer to Learn)
  static constexpr const char* name = "Accepted";
  Ballot n;
  std::optional<Bytes> value;
};
struct Nack {  // refuses n for a higher promise; the paper leaves it as an optimisation (§2.2, last
               // paragraph)
  static constexpr const char* name = "Nack";
  Ballot n;
  Ballot promised;
};
struct Relay {  // a value for the distinguished proposer (§2.4)
  static constexpr const char* name = "Relay";
  Bytes value;
};
struct Learn {  // a learner asks what was accepted or decided (§2.3)
  static constexpr const char* name = "Learn";
};
struct Decided {  // the distinguished learner tells the others (§2.3)
  static constexpr const char* name = "Decided";
  Bytes value;
};
BOOST_DESCRIBE_STRUCT(Prepare, (), (n))
BOOST_DESCRIBE_STRUCT(Promise, (), (n, accepted))
BOOST_DESCRIBE_STRUCT(Accept, (), (n, value))
BOOST_DESCRIBE_STRUCT(Accepted, (), (n, value))
BOOST_DESCRIBE_STRUCT(Nack, (), (n, promised))
BOOST_DESCRIBE_STRUCT(Relay, (), (value))
BOOST_DESCRIBE_STRUCT(Learn, (), ())
BOOST_DESCRIBE_STRUCT(Decided, (), (value))

using Message = std::variant<Prepare, Promise, Accept, Accepted, Nack, Relay, Learn, Decided>;

}  // namespace quorate::paxos
