// What a replica begins with: its state brought to the point of its log, or what goes on without one of them.
#include <fmt/format.h>

#include "replica/replica.h"

namespace quorate::replica {

namespace rl = replicated_log;

std::expected<std::unique_ptr<storage::Engine>, Replica::StateError> Replica::recover_state(
    storage::EngineHome& home, const Recovered& recovered) {
  const auto failed = [](const storage::IoError& error) {
    return std::unexpected(StateError{error.what, error.kind == storage::IoErrorKind::corrupt});
  };
  const Index wanted = recovered.snapshot ? recovered.snapshot->index : Index();
  auto live = home.open_live();
  // From the first entry on, be there none: then its records tell this log from one that was lost itself.
  const bool replayed = !recovered.snapshot && !(recovered.log.empty() && recovered.records.empty());
  if (!live && live.error().kind == storage::IoErrorKind::corrupt && replayed) {
    if (auto aside = home.set_aside_live(); !aside) return failed(aside.error());
    live = home.open_live();
  }
  if (!live) return failed(live.error());
  const Index applied = State::read_applied(**live).index;
  if (applied >= wanted) {
    home.discard_staging();
    return std::move(*live);
  }
  live->reset();
  // The log says that a snapshot was installed, the state is still the older one: the crash came between.
  {
    auto staging = home.open_staging();
    std::string ignored;
    const bool whole = staging && (*staging)->get(storage::Table::system, complete_key, ignored) &&
                       State::read_applied(**staging).index >= wanted;
    if (!whole) {
      return std::unexpected(StateError{
          fmt::format(
              "the log was cut at entry {}, but the state holds only entries up to {}: the state directory "
              "was lost or replaced",
              wanted.value, applied.value),
          true});
    }
  }
  if (auto promoted = home.promote_staging(); !promoted) return failed(promoted.error());
  live = home.open_live();
  if (!live) return failed(live.error());
  return std::move(*live);
}

std::expected<std::vector<Write>, std::string> Replica::rejoin(storage::EngineHome& home, NodeId self,
                                                               const std::map<RecordKey, Bytes>& records,
                                                               rl::Rejoin protocol) {
  if (protocol == nullptr) return std::unexpected("its protocol can not go on without its entries");
  const auto live = recover_state(home, {});
  if (!live) return std::unexpected(live.error().what);
  AppliedPoint applied = State::read_applied(**live);
  std::optional<SnapshotMeta> state;
  if (!applied.index.none())
    state = SnapshotMeta{applied.index, applied.epoch, std::move(applied.membership), {}};
  return protocol(self, records, state);
}

std::expected<std::vector<Write>, std::string> Replica::rejoin_without_state(
    NodeId self, const std::map<RecordKey, Bytes>& records, const Membership& members, rl::Rejoin protocol) {
  if (protocol == nullptr) return std::unexpected("its protocol can not go on without its entries");
  return protocol(self, records, SnapshotMeta{Index(), Epoch(), members, {}});
}

}  // namespace quorate::replica
