// How client operations end.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>

#include "core/bytes.h"
#include "core/ids.h"

namespace quorate::replica {

enum class Failure : std::uint8_t {
  no_leader,       // nobody to ask within the deadline; nothing happened
  overloaded,      // a bound was reached; nothing happened
  change_pending,  // another membership change or transfer is under way
  not_ready,       // a learner that is to vote lacks too much of the log
  invalid,         // can never succeed as asked
  timed_out,       // the outcome is unknown: it may have happened or may still happen
  stopping,        // the replica is closed; the outcome is unknown
};
const char* to_string(Failure failure);

template <class T>
using Outcome = std::expected<T, Failure>;
using Done = std::move_only_function<void(Outcome<Bytes>)>;      // a command's result
using ReadDone = std::move_only_function<void(Outcome<Index>)>;  // the applied index at which to read

}  // namespace quorate::replica
