// Every place at which a node can lose power: each operation of its storage (write, sync, rename, ...; its
// log's and its state's) while a cluster serves a script of client operations, and, after each of these, each
// operation of the recovery that follows. Each is a run of its own with all the checks of sim/checks.h: what
// was acknowledged is there, what is recovered is a prefix of what was written, the node serves again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/options.h"

namespace quorate::sim {

struct CrashPointReport {
  std::uint64_t operations = 0;  // of the script at which power was cut
  std::uint64_t recoveries = 0;  // and of recoveries
  std::uint64_t runs = 0;
  std::uint64_t failed = 0;
  std::vector<std::string> failures;  // the first few, with the line that repeats them
};

// The script is the seed's, without other faults, on three nodes. Power is cut at who leads it to its end
// where nothing happens, and in runs of their own at the next of the others; of the operations of each every
// `stride`-th is taken, each with everything, nothing, a torn end and a random part of the un-synced writes
// surviving.
[[nodiscard]] CrashPointReport enumerate_crash_points(Options options, std::uint64_t seed,
                                                      std::uint64_t stride, unsigned jobs);

[[nodiscard]] std::string_view to_string(CrashPoint::Survival survival);
// "OPERATION,AGAIN,SURVIVAL,NODE", as reproduce() writes it.
[[nodiscard]] std::optional<CrashPoint> parse_crash_point(std::string_view text);

}  // namespace quorate::sim
