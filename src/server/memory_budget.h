// How a node's memory is shared out. Most of it grows with the load up to bounds: the cache of the state
// engine, the log that is kept in memory for followers that lag, changes not yet in the state, requests
// without an answer, and answers that nobody reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace quorate::server {

// Bytes, of one keyspace.
struct MemoryBudget {
  std::uint64_t cache = 64U << 20U;
  std::uint64_t kept_log = 16U << 20U;
  std::uint64_t unflushed = 12U << 20U;  // a flush begins here; changes are held up at a multiple
  std::uint64_t requests = 256U << 20U;
  std::uint64_t answers = std::uint64_t{1} << 30U;  // that wait for clients to read them
};

// For a node that may use `memory` bytes; 0: as many as it likes. The shares add up to half of it: the rest
// is for what a flush holds besides, connections, code, and what the allocator keeps.
[[nodiscard]] MemoryBudget budget_for(std::uint64_t memory, std::size_t keyspaces);

// The tightest limit of the control groups this process is in (cgroups(7), both versions); 0: none.
// `membership` is the text of /proc/self/cgroup, `mounts` where control groups are mounted.
[[nodiscard]] std::uint64_t group_limit(const std::string& membership,
                                        const std::string& mounts = "/sys/fs/cgroup");
[[nodiscard]] std::uint64_t group_limit();

}  // namespace quorate::server
