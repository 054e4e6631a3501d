#include "server/restore.h"

#include <algorithm>
#include <utility>

#include "models/etcd/etcd_model.h"
#include "models/etcd/tables.h"
#include "registry/registry.h"
#include "storage/backup.h"
#include "storage/crc32c.h"
#include "storage/memory_engine.h"

namespace quorate::server {
namespace {

std::expected<const Keyspace*, std::string> choose(const Config& config, const std::string& name) {
  if (name.empty() && config.keyspaces.size() == 1) return &config.keyspaces.front();
  const auto found = std::ranges::find(config.keyspaces, name, &Keyspace::name);
  if (found != config.keyspaces.end()) return &*found;
  std::string known;
  for (const auto& keyspace : config.keyspaces) known += (known.empty() ? "" : ", ") + keyspace.name;
  return std::unexpected((name.empty() ? "say with --keyspace which keyspace gets the backup"
                                       : "there is no keyspace '" + name + "' in " + config.source) +
                         "; there are: " + known);
}

}  // namespace

// What the model says of itself stands in small tables: those are given to a model in memory.
std::expected<BackupStatus, std::string> backup_status(const std::string& file) {
  storage::MemoryHome home;
  auto engine = home.open_live();
  if (!engine) return std::unexpected(engine.error().what);
  std::uint32_t hash = 0;
  const auto read =
      storage::read_backup(file, [&](storage::Table table, std::string_view key, std::string_view value) {
        hash = storage::crc32c(key, hash);
        hash = storage::crc32c(value, hash);
        if (table == models::etcd::table::meta) (*engine)->put(table, key, Bytes::copy(value));
      });
  if (!read) return std::unexpected(read.error());
  const auto model = models::etcd::EtcdModel::create();
  model->open(**engine);
  return BackupStatus{hash, model->revision(), model->statistics().keys, read->bytes};
}

runtime::Identity first_identity(const Config& config) {
  runtime::Identity identity;
  identity.node = config.id;
  identity.cluster = cluster_id(config.cluster, config.members);
  identity.token = config.cluster;
  identity.initial = config.members;
  return identity;
}

std::expected<runtime::Restored, std::string> restore_node(const Config& config, const std::string& backup,
                                                           const std::string& keyspace) {
  if (config.join)
    return std::unexpected("a node that joins gets the state from its cluster; restore the first members");
  const auto chosen = choose(config, keyspace);
  if (!chosen) return std::unexpected(chosen.error());
  const auto protocol = registry::find((*chosen)->protocol);
  if (!protocol) return std::unexpected(protocol.error());
  runtime::RestoreConfig how;
  how.backup = backup;
  how.directory = config.data;
  how.log_directory = config.log_directory;
  how.identity = first_identity(config);
  how.keyspace = (*chosen)->name;
  how.begin_with = (*protocol)->begin_with;
  how.model = [] { return models::etcd::EtcdModel::create(); };
  how.segment_bytes = config.segment_bytes;
  return runtime::restore(how);
}

}  // namespace quorate::server
