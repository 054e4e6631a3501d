// What `quorate snapshot` does with a file, without a cluster: tells what is in it, and makes a node's data
// directory from it.
#pragma once

#include <string>

#include "cli/command.h"
#include "server/etcd_flags.h"

namespace quorate::cli {

struct RestoreOptions {
  std::string path;
  std::string config;    // a TOML file; else etcd's flags
  std::string keyspace;  // of the TOML file's
  server::EtcdFlags flags;
};

void add_restore_options(CLI::App& app, RestoreOptions& options);
int restore_snapshot(const Command& command, const CLI::App& app, const RestoreOptions& options);
int snapshot_status(const Command& command, const std::string& path);

}  // namespace quorate::cli
