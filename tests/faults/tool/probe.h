// Puts at a fixed interval, whatever becomes of them: what shows how long a cluster took no writes.
#pragma once

#include <chrono>
#include <string>

namespace quorate::faults {

// To each of the endpoints in turn, over one connection each. A line for every answer: when the put was due
// and when it was answered (nanoseconds of the monotonic clock), the gRPC code, the endpoint's number. Runs
// until standard input ends.
int run_probe(const std::string& endpoints, std::chrono::milliseconds interval);

}  // namespace quorate::faults
