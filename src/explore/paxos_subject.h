// Basic Paxos as the explorer sees it. Ballots are ordered by node, so nodes are not alike: no symmetry.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agreement/paxos/paxos.h"
#include "core/canonical.h"
#include "explore/bounds.h"
#include "explore/facts.h"

namespace quorate::explore {

struct PaxosSubject {
  using Protocol = paxos::Paxos;
  static constexpr const char* name = "paxos";
  static constexpr bool symmetric = false;
  static constexpr bool waits_for_disk = true;  // a test plants a bug here

  static Protocol make(const Bounds& bounds, NodeId self, const Recovered& disk) {
    agreement::Settings settings;
    settings.self = self;
    for (std::uint64_t i = 1; i <= bounds.nodes; ++i) settings.members.emplace_back(i);
    return {settings, paxos::Options{}, disk};
  }
  static agreement::Request propose(std::uint32_t command) {
    return agreement::Propose{Bytes::adopt("v" + std::to_string(command))};
  }
  static Duration patience(const Protocol&, const paxos::Message&, Instant) { return {}; }
  static bool within(const Bounds& bounds, const Protocol& p) { return p.round() <= bounds.terms; }
  static void record(Canonical& to, const RecordKey& key, const Bytes& value) {
    to.bytes(key);
    to.bytes(value.view());
  }
  static std::vector<Fact> facts(const Protocol& p) {
    if (!p.decided()) return {};
    return {Fact{"the decision", p.decided()->str(), {}, {}, {}, {}}};
  }
  static std::optional<std::string> alarm(const agreement::Event&) { return std::nullopt; }
  static std::optional<std::string> contradicts(const Protocol&, const Fact&) { return std::nullopt; }
  static std::optional<std::string> differ(const Protocol&, const Protocol&) { return std::nullopt; }
};

}  // namespace quorate::explore
