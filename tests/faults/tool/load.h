// A run: clients and watchers over a cluster while somebody breaks it, then the judgement.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace quorate::faults {

struct LoadOptions {
  std::string endpoints;  // comma-separated
  std::string tag = "run";
  std::uint64_t seed = 1;
  std::chrono::milliseconds pause{2};
  unsigned registers = 5;
  unsigned readers = 3;
  unsigned lockers = 3;
  unsigned candidates = 2;
  unsigned lessees = 2;
  std::string history;  // where to write the history of a run with violations
};

// Loads until the line "end" comes in on standard input, by when the cluster must be whole again; every other
// line names the endpoints that there are from now on. Writes "loading" once all clients run, and the result
// as one line of JSON. 0: no violation.
int run_load(const LoadOptions& options);

}  // namespace quorate::faults
