#include "runtime/restore.h"

#include <filesystem>
#include <utility>

#include "replica/state.h"
#include "runtime/keyspace.h"
#include "storage/backup.h"
#include "storage/posix_disk.h"
#include "storage/transaction.h"
#include "storage/wal.h"

namespace quorate::runtime {
namespace {

namespace fs = std::filesystem;

// Everything is made in here first. While it is there, the directory belongs to no node.
constexpr const char* unfinished = "restoring";
constexpr std::size_t batch_bytes = 1U << 20U;

using Step = std::expected<void, std::string>;

Step failed(const std::string& what, const std::error_code& error) {
  return std::unexpected(what + ": " + error.message());
}

// Rows go to the engine in batches. The replica's own rows stay behind, but for how far it had come.
class Filling {
 public:
  explicit Filling(storage::Engine& engine) : engine_(engine) {}

  void row(storage::Table table, std::string_view key, std::string_view value) {
    ++rows_;
    bytes_ += key.size() + value.size();
    batch_.put(table, std::string(key), std::string(value));
    if (bytes_ >= batch_bytes) flush();
  }
  void flush() {
    engine_.write(batch_);
    batch_.clear();
    bytes_ = 0;
  }
  [[nodiscard]] std::uint64_t rows() const { return rows_; }

 private:
  storage::Engine& engine_;
  storage::Batch batch_;
  std::size_t bytes_ = 0;
  std::uint64_t rows_ = 0;
};

// The state as the new cluster's members all begin with it.
std::expected<SnapshotMeta, std::string> adapt(storage::Engine& engine, const RestoreConfig& config) {
  replica::AppliedPoint point = replica::State::read_applied(engine);
  if (point.index.none()) return std::unexpected(config.backup + ": it holds no applied state");
  point.epoch = Epoch(1);
  point.membership = first_membership(config.identity);
  std::vector<std::string> old;
  const auto cursor = engine.cursor(storage::Table::system);
  for (cursor->seek({}); cursor->valid(); cursor->next()) old.emplace_back(cursor->key());
  storage::Transaction txn(engine);
  for (const auto& key : old) txn.erase(storage::Table::system, key);  // sessions of the old nodes
  const auto model = config.model();
  model->open(engine);
  model->forget_nodes(txn);
  model->settle(txn);
  replica::State::write_applied(txn, point);
  model->committed(point.index);
  return SnapshotMeta{point.index, point.epoch, point.membership, model->digest()};
}

std::expected<std::pair<SnapshotMeta, Restored>, std::string> make_state(const std::string& path,
                                                                         const RestoreConfig& config) {
  storage::RocksHome home(path, config.storage);
  auto engine = home.create_staging();
  if (!engine) return std::unexpected(engine.error().what);
  Filling filling(**engine);
  auto read =
      storage::read_backup(config.backup, [&](storage::Table table, std::string_view key,
                                              std::string_view value) { filling.row(table, key, value); });
  if (!read) return std::unexpected(read.error());
  filling.flush();
  auto meta = adapt(**engine, config);
  if (!meta) return std::unexpected(meta.error());
  if (auto flushed = (*engine)->flush(); !flushed) return std::unexpected(flushed.error().what);
  engine->reset();
  if (auto live = home.promote_staging(); !live) return std::unexpected(live.error().what);
  return std::pair(*meta, Restored{meta->index, read->rows});
}

Step make_log(const std::string& path, const RestoreConfig& config, const SnapshotMeta& meta) {
  auto disk = storage::open_directory(path);
  if (!disk) return std::unexpected(disk.error().what);
  auto log = storage::Wal::open(**disk, {.segment_bytes = config.segment_bytes,
                                         .cluster = config.identity.cluster,
                                         .node = config.identity.node});
  if (!log) return std::unexpected(log.error().what);
  log->wal->append(keyspace_id(config.keyspace), config.begin_with(meta));
  if (auto synced = log->wal->sync(); !synced) return std::unexpected(synced.error().what);
  return {};
}

std::expected<Restored, std::string> make(const fs::path& part, const RestoreConfig& config) {
  auto state = make_state((part / "state" / config.keyspace).string(), config);
  if (!state) return std::unexpected(state.error());
  const fs::path log_path = config.log_directory.empty() ? part / "log" : fs::path(config.log_directory);
  if (auto log = make_log(log_path.string(), config, state->first); !log) return std::unexpected(log.error());
  for (const auto& name : {part / "state", part}) {
    if (auto synced = storage::sync_directory_at(name.string()); !synced)
      return std::unexpected(synced.error().what);
  }
  return state->second;
}

Step clear_the_way(const fs::path& directory) {
  std::error_code error;
  const bool again = restore_unfinished(directory.string());
  for (const char* name : {"identity", "log", "state"}) {
    if (!fs::exists(directory / name, error)) continue;
    if (!again)
      return std::unexpected("data directory " + directory.string() +
                             ": a node's data is there already; restore to another, or move it away");
    fs::remove_all(directory / name, error);
    if (error) return failed("remove " + (directory / name).string(), error);
  }
  fs::remove_all(directory / unfinished, error);
  if (error) return failed("remove " + (directory / unfinished).string(), error);
  return {};
}

Step check_log_directory(const std::string& path) {
  std::error_code error;
  if (path.empty() || !fs::exists(path, error) || fs::is_empty(path, error)) return {};
  return std::unexpected("the log's directory " + path + " is not empty");
}

// The identity is written first: what a crash leaves is told by `unfinished`, which goes last.
Step put_in_place(storage::Disk& disk, const fs::path& directory, const Identity& identity) {
  if (auto saved = save_identity(disk, identity); !saved) return saved;
  std::error_code error;
  for (const char* name : {"log", "state"}) {
    if (!fs::exists(directory / unfinished / name, error)) continue;  // the log may have its place elsewhere
    fs::rename(directory / unfinished / name, directory / name, error);
    if (error) return failed("rename " + (directory / unfinished / name).string(), error);
  }
  if (auto synced = storage::sync_directory_at(directory.string()); !synced)
    return std::unexpected(synced.error().what);
  fs::remove_all(directory / unfinished, error);
  if (error) return failed("remove " + (directory / unfinished).string(), error);
  if (auto synced = storage::sync_directory_at(directory.string()); !synced)
    return std::unexpected(synced.error().what);
  return {};
}

}  // namespace

bool restore_unfinished(const std::string& directory) {
  std::error_code ignored;
  return fs::exists(fs::path(directory) / unfinished, ignored);
}

std::expected<Restored, std::string> restore(const RestoreConfig& config) {
  auto disk = storage::open_directory(config.directory);  // locks it
  if (!disk) return std::unexpected("data directory " + config.directory + ": " + disk.error().what);
  const fs::path directory = config.directory;
  if (auto clear = clear_the_way(directory); !clear) return std::unexpected(clear.error());
  if (auto clear = check_log_directory(config.log_directory); !clear) return std::unexpected(clear.error());
  const fs::path part = directory / unfinished;
  std::error_code error;
  fs::create_directories(part / "state", error);
  if (error) return std::unexpected("mkdir " + part.string() + ": " + error.message());
  auto made = make(part, config);
  if (!made) {
    fs::remove_all(part, error);  // the directory is as it was
    return made;
  }
  if (auto placed = put_in_place(**disk, directory, config.identity); !placed)
    return std::unexpected(placed.error());
  return made;
}

}  // namespace quorate::runtime
