// Which commands were executed: one window of numbers per node. Part of the replicated state, so that every
// replica rejects the same duplicates (Raft thesis §6.3). A node's new incarnation ends its older one; the
// commands of an ended or unknown-older incarnation are not executed.
#pragma once

#include <cstdint>
#include <map>

#include <boost/describe.hpp>

#include "core/ids.h"
#include "replica/messages.h"

namespace quorate::replica {

struct Session {
  std::uint64_t incarnation = 0;
  std::uint64_t settled = 0;  // all numbers up to this are forgotten, and never executed again
  std::map<std::uint64_t, std::uint64_t> executed;  // disjoint ranges first -> last, all above `settled`

  [[nodiscard]] bool executed_already(std::uint64_t number) const;
};
BOOST_DESCRIBE_STRUCT(Session, (), (incarnation, settled, executed))

struct Sessions {
  std::map<std::uint64_t, Session> by_node;

  // True if the command is to be executed now; remembers it. False for a duplicate or an ended incarnation.
  bool admit(const Command& command);
};
BOOST_DESCRIBE_STRUCT(Sessions, (), (by_node))

}  // namespace quorate::replica
