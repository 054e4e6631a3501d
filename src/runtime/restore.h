// Makes the data directory of a node that begins with the state of a backup. Every first member of the new
// cluster gets one, from the same backup: then all begin alike, their logs right behind the state.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "core/replicated_log.h"
#include "models/model.h"
#include "runtime/identity.h"
#include "storage/rocks_engine.h"

namespace quorate::runtime {

struct RestoreConfig {
  std::string backup;         // the file, as storage::BackupWriter and `snapshot save` make it
  std::string directory;      // of data; holds no node yet
  std::string log_directory;  // empty: below the data directory; else it must be empty itself
  Identity identity;          // with all first members
  std::string keyspace;       // the name
  replicated_log::Begin begin_with = nullptr;  // the protocol's
  std::function<std::unique_ptr<models::Model>()> model;
  storage::RocksConfig storage;
  std::uint64_t segment_bytes = 16U << 20U;  // of the log's files
};

struct Restored {
  Index index;  // the state's, which the new log begins behind
  std::uint64_t rows = 0;
};

// After an error, or a crash, the directory is not taken by a node until a restore has succeeded.
[[nodiscard]] std::expected<Restored, std::string> restore(const RestoreConfig& config);

[[nodiscard]] bool restore_unfinished(const std::string& directory);

}  // namespace quorate::runtime
