// A whole server: the node of a Config with its keyspaces served to clients, from start to clean end.
#pragma once

#include "server/config.h"

namespace quorate::server {

enum Exit : int {
  exit_ok = 0,
  exit_failed = 1,   // the node could not start, or could not go on; the log says why
  exit_usage = 2,    // flags or configuration make no sense
  exit_removed = 3,  // the cluster removed this member: there is nothing to start again
};

// Runs until SIGINT or SIGTERM (a second one ends it at once). Logging must be set up.
[[nodiscard]] int run_server(const Config& config);

}  // namespace quorate::server
