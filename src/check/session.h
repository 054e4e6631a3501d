// Two session guarantees (Terry et al. 1994), judged by the log position each answer rests on
// (Operation::index): what a client has seen or written, its later reads do not lose.
#pragma once

#include <span>

#include "check/history.h"

namespace quorate::check {

[[nodiscard]] Finding check_monotonic_reads(std::span<const Operation> history);
[[nodiscard]] Finding check_read_your_writes(std::span<const Operation> history);

}  // namespace quorate::check
