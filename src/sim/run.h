// Runs of the simulator: one, many, and the smallest that still fails.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/options.h"

namespace quorate::sim {

// A run is a pure function of options and seed. `trace`, if given, receives the JSON of sim/trace.h.
[[nodiscard]] Result run_seed(const Options& options, std::uint64_t seed, std::string* trace = nullptr);

// Runs first..last on `jobs` threads; `done` is called for each, in order of the seeds, from this thread's or
// another's, never at the same time. Stops early once `done` says false.
void run_seeds(const Options& options, std::uint64_t first, std::uint64_t last, unsigned jobs,
               const std::function<bool(const Result&)>& done);

// Leaves out faults, operations, keys and nodes while the run still violates the same property.
// `tries` bounds the runs.
[[nodiscard]] Options shrink(const Options& options, std::uint64_t seed, unsigned tries = 400);

// The command line that repeats a run.
[[nodiscard]] std::string reproduce(const Options& options, std::uint64_t seed);

}  // namespace quorate::sim
