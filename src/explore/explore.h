// Explores everything a protocol can do within bounds: see README.md.
#pragma once

#include <string>

#include "explore/bounds.h"

namespace quorate::explore {

// "paxos" or "raft".
[[nodiscard]] bool known(const std::string& protocol);
[[nodiscard]] Report explore(const std::string& protocol, const Bounds& bounds);

// The trace, if something is violated, and the line that sums up; `seconds` is what it took.
[[nodiscard]] std::string text(const std::string& protocol, const Report& report, double seconds);

}  // namespace quorate::explore
