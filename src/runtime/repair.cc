// A node's log or state that is found damaged at its start.
#include <algorithm>
#include <filesystem>

#include <spdlog/spdlog.h>

#include "runtime/holdings.h"
#include "runtime/node.h"

namespace quorate::runtime {

namespace {

// Whether entries are applied to the state in this directory. One that is not there is not made.
std::expected<bool, std::string> holds_state(const std::string& path, const storage::RocksConfig& config) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return false;
  storage::RocksHome home(path, config);
  const auto live = home.open_live();
  if (!live) return std::unexpected(live.error().what);
  return !replica::State::read_applied(**live).index.none();
}

}  // namespace

// Each state was begun when a log was in its place, and durable. A node that began another would have
// forgotten its votes and what it acknowledged.
std::expected<void, std::string> Node::check_that_the_log_is_there() const {
  const auto log = holds_log(log_path());
  if (!log) return std::unexpected("the log: " + log.error());
  if (*log) return {};
  const auto states = holds_states(state_path({}));
  if (!states) {
    return std::unexpected("there is no log in " + log_path() +
                           ", and it can not be seen whether states were made from one: " + states.error());
  }
  if (!*states) return {};
  return std::unexpected(
      "the log in " + log_path() + " is gone, and " + state_path({}) +
      " holds states made from it: its disk is not mounted, the configuration names another directory, or it "
      "is lost. Where it is lost, remove this member, empty its data directory and let it join as a new one");
}

// The log is set aside, and with it the states that are lost. What they held is brought by other members;
// until then each protocol abstains from what could harm them. Whatever moment the power goes: as long as the
// new log is not in place, the next start finds the old one, and the same states lost.
std::expected<void, std::string> Node::begin_log_anew(const storage::WalConfig& log,
                                                      const std::string& damage, const Lost& lost) {
  const auto refuse = [&damage](const std::string& why) {
    return std::unexpected(damage + ". It can not be repaired from the other members: " + why +
                           ". Restore the file, or remove this member, empty its data directory and let it "
                           "join as a new one");
  };
  if (!config_.repair) return refuse("the configuration says repair = \"refuse\"");
  const auto saved = storage::Wal::salvage(*log_disk_, log);
  if (!saved) return refuse(saved.error().what);
  for (const auto& [id, members] : lost) {
    if (!saved->records.contains(id)) return refuse("its log tells nothing of one of its keyspaces");
  }
  auto kept = saved->records;
  for (const auto& keyspace : config_.keyspaces) {
    const auto id = keyspace_id(keyspace.name);
    if (kept.contains(id) || lost.contains(id)) continue;
    const auto state = holds_state(state_path(keyspace.name), keyspace.storage);
    if (!state) return refuse("keyspace '" + keyspace.name + "': " + state.error());
    if (*state) kept[id];  // its protocol has recorded nothing, and may go on with that
  }
  std::map<KeyspaceId, std::vector<Write>> contents;
  for (const auto& [id, records] : kept) {
    const auto id_of = [](const KeyspaceConfig& each) { return keyspace_id(each.name); };
    const auto keyspace = std::ranges::find(config_.keyspaces, id, id_of);
    if (keyspace == config_.keyspaces.end())
      return refuse("it also holds a keyspace that is not configured, of id " + to_string(id));
    storage::RocksHome home(state_path(keyspace->name), keyspace->storage);
    const auto gone = lost.find(id);
    auto writes = gone == lost.end()
                      ? replica::Replica::rejoin(home, config_.identity.node, records, keyspace->rejoin)
                      : replica::Replica::rejoin_without_state(config_.identity.node, records, gone->second,
                                                               keyspace->rejoin);
    if (!writes) return refuse("keyspace '" + keyspace->name + "': " + writes.error());
    contents[id] = std::move(*writes);
  }
  for (const auto& keyspace : config_.keyspaces) {
    if (!lost.contains(keyspace_id(keyspace.name))) continue;
    storage::RocksHome home(state_path(keyspace.name), keyspace.storage);
    if (auto aside = home.set_aside_live(); !aside)
      return std::unexpected(damage + ". It could not be set aside: " + aside.error().what);
  }
  if (auto begun = storage::Wal::begin_anew(*log_disk_, log, *saved, contents); !begun)
    return std::unexpected(damage + ". A new log could not be begun: " + begun.error().what);
  spdlog::error(
      "{}. REPAIR: a new log is begun, and what {} held is taken from the other members. What was damaged is "
      "beside it, by the name of damaged; delete it when all is well",
      damage, lost.empty() ? "the damaged one" : "the lost state and the log behind it");
  return {};
}

}  // namespace quorate::runtime
