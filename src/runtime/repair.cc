// A node's log that is found damaged at its start.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "runtime/node.h"

namespace quorate::runtime {

// The damaged log is set aside. What it held is brought by other members; until then each protocol abstains
// from what could harm them.
std::expected<void, std::string> Node::begin_log_anew(const storage::WalConfig& log,
                                                      const std::string& damage) {
  const auto refuse = [&damage](const std::string& why) {
    return std::unexpected(damage + ". It can not be repaired from the other members: " + why +
                           ". Restore the file, or remove this member, empty its data directory and let it "
                           "join as a new one");
  };
  if (!config_.repair) return refuse("the configuration says repair = \"refuse\"");
  const auto saved = storage::Wal::salvage(*log_disk_, log);
  if (!saved) return refuse(saved.error().what);
  std::map<KeyspaceId, std::vector<Write>> contents;
  for (const auto& [id, records] : saved->records) {
    const auto id_of = [](const KeyspaceConfig& each) { return keyspace_id(each.name); };
    const auto keyspace = std::ranges::find(config_.keyspaces, id, id_of);
    if (keyspace == config_.keyspaces.end())
      return refuse("it also holds a keyspace that is not configured, of id " + to_string(id));
    storage::RocksHome home(directory_.path() + "/state/" + keyspace->name, keyspace->storage);
    auto writes = replica::Replica::rejoin(home, config_.identity.node, records, keyspace->rejoin);
    if (!writes) return refuse("keyspace '" + keyspace->name + "': " + writes.error());
    contents[id] = std::move(*writes);
  }
  if (auto begun = storage::Wal::begin_anew(*log_disk_, log, *saved, contents); !begun)
    return std::unexpected(damage + ". A new log could not be begun: " + begun.error().what);
  spdlog::error(
      "{}. REPAIR: a new log is begun, and what the damaged one held is taken from the other members. Its "
      "files are beside it as damaged-*; delete them when all is well",
      damage);
  return {};
}

}  // namespace quorate::runtime
