// Backups, as `quorate snapshot save` and `etcdctl snapshot save` make them: looked at, and made the
// beginning of a new cluster.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "runtime/identity.h"
#include "runtime/restore.h"
#include "server/config.h"

namespace quorate::server {

struct BackupStatus {
  std::uint32_t hash = 0;     // of the whole file
  std::int64_t revision = 0;  // the store's
  std::uint64_t keys = 0;     // live
  std::uint64_t bytes = 0;    // of the file
};
[[nodiscard]] std::expected<BackupStatus, std::string> backup_status(const std::string& file);

// Who a first member of the configured cluster is, before it ever started.
[[nodiscard]] runtime::Identity first_identity(const Config& config);

// Makes the data directory of the configured node; `keyspace` may be empty where there is only one.
[[nodiscard]] std::expected<runtime::Restored, std::string> restore_node(const Config& config,
                                                                         const std::string& backup,
                                                                         const std::string& keyspace);

}  // namespace quorate::server
