#include "replica/sessions.h"

#include <iterator>

namespace quorate::replica {
namespace {

using Ranges = std::map<std::uint64_t, std::uint64_t>;

// Adds `number` to the disjoint ranges; false if it was in one.
bool insert(Ranges& ranges, std::uint64_t number) {
  auto after = ranges.upper_bound(number);
  auto before = after == ranges.begin() ? ranges.end() : std::prev(after);
  if (before != ranges.end() && number <= before->second) return false;
  const bool joins_before = before != ranges.end() && before->second + 1 == number;
  const bool joins_after = after != ranges.end() && number + 1 == after->first;
  const std::uint64_t last = joins_after ? after->second : number;
  if (joins_after) ranges.erase(after);
  if (joins_before) {
    before->second = last;
  } else {
    ranges.emplace(number, last);
  }
  return true;
}

void forget(Ranges& ranges, std::uint64_t settled) {
  while (!ranges.empty() && ranges.begin()->first <= settled) {
    const std::uint64_t last = ranges.begin()->second;
    ranges.erase(ranges.begin());
    if (last > settled) ranges.emplace(settled + 1, last);
  }
}

}  // namespace

bool Session::executed_already(std::uint64_t number) const {
  if (number <= settled) return true;
  auto after = executed.upper_bound(number);
  return after != executed.begin() && number <= std::prev(after)->second;
}

bool Sessions::admit(const Command& command) {
  Session& session = by_node[command.id.origin.value];
  if (command.id.incarnation < session.incarnation) return false;
  if (command.id.incarnation > session.incarnation) session = {command.id.incarnation, 0, {}};
  if (command.id.number <= session.settled) return false;
  const bool fresh = insert(session.executed, command.id.number);
  if (command.settled > session.settled && command.settled < command.id.number) {
    session.settled = command.settled;
    forget(session.executed, session.settled);
  }
  return fresh;
}

}  // namespace quorate::replica
