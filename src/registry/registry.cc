#include "registry/registry.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "agreement/paxos/paxos.h"
#include "replog/raft/raft.h"
#include "replog/slots/slot_log.h"

namespace quorate::registry {
namespace {

using replicated_log::Settings;

constexpr std::size_t majority_of(std::size_t f) { return 2 * f + 1; }

std::unique_ptr<replicated_log::Protocol> slots_over_paxos(const Settings& settings, Recovered recovered) {
  const auto agreement = [](const agreement::Settings& of_slot, Recovered records) {
    return paxos::make_paxos(of_slot, std::move(records));
  };
  return slots::make_slot_log(settings, std::move(recovered), agreement);
}

}  // namespace

std::span<const Descriptor> all() {
  static const std::vector<Descriptor> protocols{
      {"raft", "Raft", "Ongaro, Consensus: Bridging Theory and Practice (2014)", Family::replicated_log,
       FaultModel::crash, majority_of, raft::make_raft, raft::begin_with, raft::rejoin},
      {"paxos", "Basic Paxos, slot by slot", "Lamport, Paxos Made Simple (2001)", Family::agreement,
       FaultModel::crash, majority_of, slots_over_paxos, slots::begin_with},
  };
  return protocols;
}

std::expected<const Descriptor*, std::string> find(std::string_view name) {
  const auto it = std::ranges::find(all(), name, &Descriptor::name);
  if (it != all().end()) return &*it;
  std::string known;
  for (const auto& protocol : all()) {
    if (!known.empty()) known += ", ";
    known += protocol.name;
  }
  return std::unexpected("unknown protocol \"" + std::string(name) + "\"; there are: " + known);
}

const char* to_string(Family family) {
  switch (family) {
    case Family::replicated_log: return "replicated log";
    case Family::agreement: return "agreement";
  }
  return "?";
}

const char* to_string(FaultModel faults) {
  switch (faults) {
    case FaultModel::crash: return "crash";
    case FaultModel::byzantine: return "byzantine";
  }
  return "?";
}

}  // namespace quorate::registry
