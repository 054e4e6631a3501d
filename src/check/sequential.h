// Sequential consistency (Lamport 1979): one order of all operations, in which each client's own come in the
// order it issued them, could have come from one copy of the data. Real time between clients does not count.
// It is not local, so all keys are searched together: for small histories.
#pragma once

#include <cstdint>
#include <span>

#include "check/history.h"

namespace quorate::check {

// An operation of unknown outcome may come anywhere behind the earlier ones of its client, or never.
[[nodiscard]] Finding check_sequential(std::span<const Operation> history, std::uint64_t budget = 2'000'000);

}  // namespace quorate::check
