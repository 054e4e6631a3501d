// Which of the commands in the log take effect, told apart once more and naively: each once, of the latest
// start of its origin, and none that was given up before it came.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>

#include "replica/messages.h"

namespace quorate::sim {

class Admission {
 public:
  // Asked for each command in the order of the log.
  bool admit(const replica::Command& command) {
    Origin& origin = origins_[command.id.origin.value];
    if (command.id.incarnation < origin.incarnation) return false;
    if (command.id.incarnation > origin.incarnation) origin = {command.id.incarnation, 0, {}};
    if (command.id.number <= origin.settled) return false;
    const bool fresh = origin.executed.insert(command.id.number).second;
    if (command.settled < command.id.number) origin.settled = std::max(origin.settled, command.settled);
    return fresh;
  }

 private:
  struct Origin {
    std::uint64_t incarnation = 0;
    std::uint64_t settled = 0;
    std::set<std::uint64_t> executed;
  };
  std::map<std::uint64_t, Origin> origins_;
};

}  // namespace quorate::sim
