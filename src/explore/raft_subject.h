// Raft as the explorer sees it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/canonical.h"
#include "explore/bounds.h"
#include "explore/facts.h"
#include "replog/raft/raft.h"

namespace quorate::explore {

struct RaftSubject {
  using Protocol = raft::Raft;
  static constexpr const char* name = "raft";
  static constexpr bool symmetric = true;  // its rules never compare ids
  static constexpr bool waits_for_disk = true;
  static constexpr Duration timeout = 100ms;

  static Protocol make(const Bounds& bounds, NodeId self, const Recovered& disk) {
    replicated_log::Settings settings;
    settings.self = self;
    for (std::uint64_t i = 1; i <= bounds.nodes; ++i)
      settings.initial.members.push_back({NodeId(i), Role::voter, {}});
    settings.election_timeout = timeout;
    settings.heartbeat = timeout;  // two without an answer, and the leader steps down
    settings.max_inflight = 4;
    return {settings, disk};
  }
  static replicated_log::Request propose(std::uint32_t command) {
    return replicated_log::Propose{command + 1, {Bytes::adopt("v" + std::to_string(command))}};
  }
  // A request for a vote finds the promise to an earlier leader lapsed: otherwise it is as if it were lost.
  static Duration patience(const Protocol& p, const raft::Message& message, Instant now) {
    const bool asks =
        std::holds_alternative<raft::RequestVote>(message) || std::holds_alternative<raft::PreVote>(message);
    return asks && p.state() != raft::State::leader && p.bound_to_a_leader(now) ? timeout : Duration{};
  }
  static bool within(const Bounds& bounds, const Protocol& p) {
    const bool reaches_further = p.state() == raft::State::pre_candidate;
    return p.term().value + (reaches_further ? 1 : 0) <= bounds.terms;
  }
  static void record(Canonical& to, const RecordKey& key, const Bytes& value) {
    to.bytes(key);
    if (key != raft::hard_state_key) return to.bytes(value.view());
    const auto hard = codec::decode<raft::HardState>(value);
    if (!hard) return to.bytes(value.view());
    to.add(hard->term);
    to.node(hard->voted_for);
  }
  static std::vector<Fact> facts(const Protocol& p) {
    std::vector<Fact> facts;
    if (p.state() == raft::State::leader)
      facts.push_back({"the leader of term " + to_string(p.term()), "", p.leader(), p.term(), {}, {}});
    for (Index i = p.log().base().next(); i <= p.commit(); ++i) {
      const Entry& entry = p.log().at(i);
      facts.push_back(
          {"the committed entry " + to_string(i), codec::to_json(entry), {}, p.term(), i, entry.epoch});
    }
    return facts;
  }
  static std::optional<std::string> alarm(const replicated_log::Event& event) {
    if (const auto* halt = std::get_if<replicated_log::Halt>(&event)) return "it halted: " + halt->reason;
    return std::nullopt;
  }
  // Leader Completeness (§3.6.3): what was committed in earlier terms is in the log of a leader.
  static std::optional<std::string> contradicts(const Protocol& p, const Fact& fact) {
    if (p.state() != raft::State::leader || fact.index.none() || fact.epoch >= p.term()) return std::nullopt;
    if (p.log().matches(fact.index, fact.entry_epoch)) return std::nullopt;
    return "leader completeness: " + fact.text() + ", and a later leader lacks it: " + p.describe();
  }
  // Log Matching (§3.5): logs with the same term at an index are the same up to it.
  static std::optional<std::string> differ(const Protocol& a, const Protocol& b) {
    bool matched = false;
    for (Index i = std::min(a.log().last(), b.log().last()); i > Index(); i = i.prev()) {
      const Entry& one = a.log().at(i);
      const Entry& other = b.log().at(i);
      matched = matched || one.epoch == other.epoch;
      if (matched && one != other)
        return "log matching at index " + to_string(i) + ": " + a.describe() + "; " + b.describe();
    }
    return std::nullopt;
  }
};

}  // namespace quorate::explore
