// The load generator: many calls in flight over a few connections, from one thread.
//
// Closed loop: every stream sends its next request when the answer to the last is in; latency counts from the
// sending. Open loop: requests fall due at a fixed rate, whatever the server does, and latency counts from
// when a request fell due, so that a stall is felt by all requests that it delayed (no coordinated omission).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client/client.h"
#include "client/histogram.h"
#include "client/workload.h"

namespace quorate::client {

struct LoadOptions {
  std::vector<Endpoint> endpoints;  // connections are spread over them in turn
  unsigned connections = 1;
  unsigned streams = 1;  // per connection
  double rate = 0;       // per second, of all; 0: closed loop
  std::chrono::nanoseconds warm_up = std::chrono::seconds(1);
  std::chrono::nanoseconds duration = std::chrono::seconds(5);
  std::chrono::nanoseconds dial_timeout = std::chrono::seconds(2);
  Metadata metadata;     // sent with every call
  bool prefill = false;  // put every key once before
  WorkloadOptions workload;
};

struct LoadResult {
  double seconds = 0;
  std::uint64_t ok = 0;
  std::uint64_t acknowledged_writes = 0;        // warm-up and prefill included
  std::map<std::string, std::uint64_t> errors;  // by text
  std::array<Histogram, kOpKinds> latency;      // nanoseconds
  std::uint64_t backlog = 0;                    // open loop: due but not sent at the end

  [[nodiscard]] Histogram all() const;
  [[nodiscard]] std::uint64_t failed() const;
};

struct LoadHooks {
  std::function<void()> measuring;  // the warm-up is over
  std::function<void(const LoadResult&, std::chrono::nanoseconds)>
      progress;  // twice a second while measuring
};

// Error: no endpoint can be reached at the start.
[[nodiscard]] std::expected<LoadResult, Status> run_load(const LoadOptions& options, const LoadHooks& hooks);

}  // namespace quorate::client
