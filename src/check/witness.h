// Linearizability the short way: whoever knows the order in which the operations took effect can show it,
// and whether it is a linearization is checked in one pass. The log's order is such a witness.
// A witness that holds proves the history linearizable; one that does not proves nothing, then a search must.
#pragma once

#include <span>

#include "check/history.h"

namespace quorate::check {

// Operations are taken in the order of (index, rank), reads of an index behind its writes. An operation of
// unknown outcome with index 0 never happened. Reads with `stale_allowed` are left out.
[[nodiscard]] bool witnessed(std::span<const Operation> history);

}  // namespace quorate::check
