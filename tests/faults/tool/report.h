// What a run leaves behind: a line of JSON, and the whole history when something was wrong.
#pragma once

#include <string>

#include "tool/workers.h"

namespace quorate::faults {

[[nodiscard]] std::string summary(const Run& run, const EventLog& log, client::Time begun,
                                  std::uint64_t inconclusive);

// DIRECTORY/operations.jsonl, events.jsonl and violations.txt.
void write_history(const std::string& directory, const Run& run, const EventLog& log);

}  // namespace quorate::faults
