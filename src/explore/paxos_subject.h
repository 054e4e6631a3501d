// Basic Paxos as the explorer sees it. Ballots are ordered by node, so nodes are not alike: no symmetry.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agreement/paxos/paxos.h"
#include "core/canonical.h"
#include "explore/bounds.h"
#include "explore/facts.h"
#include "explore/local.h"

namespace quorate::explore {

struct PaxosSubject {
  using Protocol = paxos::Paxos;
  using Message = paxos::Message;
  using Sent = std::vector<Packet<Message>>;
  struct Host {  // needs nothing
    void canonical(Canonical&) const {}
  };
  static constexpr const char* name = "paxos";
  static constexpr bool symmetric = false;
  static constexpr bool waits_for_disk = true;  // a test plants a bug here

  struct Glance {  // of a node: what tells whether a message to it, or from it, can still have an effect
    paxos::Paxos::Attempt attempt;
    std::uint64_t round = 0;
    bool decided = false;
  };
  using Sender = bool;  // what counts of a message's sender: whether it knows the decision
  static Sender as_sender(const Glance& glance) { return glance.decided; }
  struct Note {  // of a message
    paxos::Ballot n;
    std::uint8_t kind = 0;  // its place in paxos::Message
    bool value = false;
  };

  static Protocol make(const Bounds& bounds, NodeId self, const Recovered& disk) {
    agreement::Settings settings;
    settings.self = self;
    for (std::uint64_t i = 1; i <= bounds.nodes; ++i) settings.members.emplace_back(i);
    return {settings, paxos::Options{}, disk};
  }
  static agreement::Request propose(std::uint32_t command) {
    return agreement::Propose{Bytes::adopt("v" + std::to_string(command))};
  }
  static agreement::Request read(const Bounds&, std::uint32_t) { return agreement::Learn{}; }
  static agreement::Request change(const Bounds&) { return agreement::Learn{}; }
  static agreement::Request transfer(NodeId) { return agreement::Learn{}; }
  static agreement::Request checkpoint(const Host&) { return agreement::Learn{}; }
  static std::optional<std::vector<Write>> rejoin(NodeId, const Recovered&) { return std::nullopt; }
  static Host host(const Bounds&, NodeId, const Recovered&) { return {}; }
  static std::optional<Input<Message, agreement::Request>> input(Host&, NodeId, NodeId from,
                                                                 const Message& message, Sent&) {
    return Receive<Message>{from, message};
  }
  static std::optional<std::string> take(Host&, NodeId, const agreement::Event&, Sent&) {
    return std::nullopt;
  }
  static constexpr Duration tick{};
  static std::uint64_t hasty_seed(std::uint64_t number) { return number; }
  static Duration patience(const Protocol&, const Message&, Instant) { return {}; }
  static std::vector<Packet<Message>> granted(const Bounds&, NodeId, const Protocol&) { return {}; }
  static constexpr TimerId campaign_timer{1};
  static std::vector<Packet<Message>> refused(NodeId, NodeId, const Protocol&) { return {}; }
  static bool lost(const Bounds&, const Message&) { return false; }
  static bool fires(const Protocol&, TimerId) { return true; }
  static bool heartbeat(TimerId) { return false; }
  static std::string timer_name(TimerId timer) {
    return timer == TimerId(1) ? "its timer to try again" : "its patience";
  }
  static bool within(const Bounds& bounds, const Protocol& p, NodeId self) {
    return p.round() <= bounds.terms && (p.round() == 0 || bounds.may_campaign(self, p.round()));
  }
  static Glance glance(const Protocol& p, const Recovered&) {
    return {p.attempt(), p.round(), p.decided().has_value()};
  }
  static Note note(const Message& message) {
    Note note{{}, static_cast<std::uint8_t>(message.index()), false};
    std::visit(
        [&](const auto& m) {
          if constexpr (requires { m.n; }) note.n = m.n;
          if constexpr (std::same_as<decltype(m), const paxos::Accepted&>) note.value = m.value.has_value();
        },
        message);
    return note;
  }
  template <class M>
  static bool is(const Note& note) {
    return note.kind == place_of<M, Message>;
  }
  // See README.md, "Messages without effect".
  static bool dead(const Flying<Note>& m, Sender sender_decided, const Glance& receiver) {
    using Phase = Protocol::Phase;
    const bool question = is<paxos::Prepare>(m.note) || is<paxos::Accept>(m.note) || is<paxos::Learn>(m.note);
    if (receiver.decided && !m.crashes_left && (!question || sender_decided)) return true;
    // An attempt that is over does not come back, nor does its ballot.
    const auto& attempt = receiver.attempt;
    const bool over = attempt.n == m.note.n ? attempt.phase == Phase::idle : m.note.n.round <= receiver.round;
    if (is<paxos::Promise>(m.note))
      return over || (attempt.n == m.note.n && attempt.phase != Phase::preparing);
    if (is<paxos::Accepted>(m.note)) return over && !m.note.value;
    if (is<paxos::Nack>(m.note)) return over || (attempt.n == m.note.n && attempt.preempted);
    return false;
  }
  static void record(Canonical& to, const RecordKey& key, const Bytes& value) {
    to.bytes(key);
    to.bytes(value.view());
  }
  static std::vector<Fact> facts(const Protocol& p, const Host&) {
    if (!p.decided()) return {};
    return {Fact{"the decision", p.decided()->str(), {}, {}, {}, {}}};
  }
  static std::string shape(const Protocol&) { return {}; }
  static std::optional<std::string> contradicts(const Protocol&, const Fact&, std::optional<Instant>) {
    return std::nullopt;
  }
  static std::optional<std::string> differ(const Protocol&, const Protocol&) { return std::nullopt; }
};

}  // namespace quorate::explore
