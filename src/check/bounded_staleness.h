// Bounded staleness: a read rests on a log position no older than every write that had returned `bound`
// before the read was invoked. With a bound of 0 this is the freshness half of linearizability.
#pragma once

#include <cstdint>
#include <span>

#include "check/history.h"

namespace quorate::check {

// `bound` in the unit of Operation::invoked.
[[nodiscard]] Finding check_bounded_staleness(std::span<const Operation> history, std::uint64_t bound);

}  // namespace quorate::check
