// Raft as the explorer sees it.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/canonical.h"
#include "explore/bounds.h"
#include "explore/facts.h"
#include "explore/local.h"
#include "explore/raft_host.h"
#include "replog/raft/raft.h"

namespace quorate::explore {

struct RaftSubject {
  using Protocol = raft::Raft;
  using Host = RaftHost;
  using Message = Host::Message;
  using Sent = Host::Sent;
  static constexpr const char* name = "raft";
  static constexpr bool symmetric = true;  // its rules never compare ids
  static constexpr bool waits_for_disk = true;
  static constexpr Duration timeout = 100ms;
  static constexpr Duration tick = timeout / 2;

  struct Glance {  // of a node: what tells whether a message to it, or from it, can still have an effect
    std::uint64_t term = 0;  // its disk agrees
    raft::State state = raft::State::follower;
    std::array<std::uint64_t, 5> match{};  // as leader
  };
  using Sender = std::uint64_t;  // what counts of a message's sender: the term, that its disk agrees to
  static Sender as_sender(const Glance& glance) { return glance.term; }
  struct Note {  // of a message
    std::uint64_t term = 0;
    std::uint64_t index = 0;
    std::uint8_t kind = 0;  // its place in raft::Message
    bool success = false;
  };

  static Membership initial(const Bounds& bounds, NodeId self) {
    Membership initial;
    for (std::uint64_t i = 1; i <= bounds.nodes; ++i) {
      const bool votes = bounds.voters.empty() || std::ranges::count(bounds.voters, i) != 0;
      if (votes && (bounds.voters.empty() || std::ranges::count(bounds.voters, self.value) != 0))
        initial.members.push_back({NodeId(i), Role::voter, {}});
    }
    return initial;
  }
  static replicated_log::Settings settings_of(const Bounds& bounds, NodeId self) {
    replicated_log::Settings settings;
    settings.self = self;
    settings.initial = initial(bounds, self);
    settings.election_timeout = timeout;
    settings.heartbeat = timeout;  // two without an answer, and the leader steps down
    settings.max_inflight = 4;
    if (bounds.single_entries) settings.max_batch_bytes = 1;
    if (bounds.snapshots != 0) settings.keep_entries = 0;
    if (bounds.ticks != 0) {  // so that two ticks are just more than the least that may be drawn
      settings.election_timeout = timeout - 1ms;
      settings.heartbeat = tick;
    }
    return settings;
  }
  // A seed that makes election timeouts of hardly more than the least, be it the first draw or, behind the
  // one for the numbers of reads at a start, the second.
  static std::uint64_t hasty_seed(std::uint64_t number) {
    static const auto seeds = [] {
      std::array<std::uint64_t, 16> found{};
      std::uint64_t seed = 1;
      for (auto& each : found) {
        const auto draw = [&] {
          Rng rng(seed++);
          const auto one = [&] { return rng.between(timeout - 1ms, 2 * (timeout - 1ms)); };
          const Duration first = one();
          return std::max(first, one());
        };
        while (draw() > timeout) continue;
        each = seed - 1;
      }
      return found;
    }();
    return seeds[number % seeds.size()];
  }
  static Protocol make(const Bounds& bounds, NodeId self, const Recovered& disk) {
    return {settings_of(bounds, self), disk};
  }
  static std::optional<std::vector<Write>> rejoin(NodeId self, const Recovered& disk) {
    auto writes = raft::rejoin(self, disk.records, disk.snapshot);
    return writes ? std::optional(std::move(*writes)) : std::nullopt;
  }
  static Host host(const Bounds& bounds, NodeId self, const Recovered& disk) {
    return Host::recovered(initial(bounds, self), disk, bounds.snapshots != 0);
  }
  static std::optional<Host::In> input(Host& host, NodeId self, NodeId from, const Message& message,
                                       Sent& sent) {
    return host.input(self, from, message, sent);
  }
  static replicated_log::Request propose(std::uint32_t command) {
    return replicated_log::Propose{command + 1, {Bytes::adopt("v" + std::to_string(command))}};
  }
  // The name of a read says what it must see.
  static replicated_log::Request read(const Bounds& bounds, std::uint32_t index) {
    using enum replicated_log::ReadMode;
    return replicated_log::ReadBarrier{index + 1, bounds.ticks != 0 ? lease : quorum};
  }
  static replicated_log::Request transfer(NodeId to) { return replicated_log::TransferLeadership{2, to}; }
  static replicated_log::Request checkpoint(const Host& host) {
    return replicated_log::SnapshotAvailable{host.live};
  }
  static replicated_log::Request change(const Bounds& bounds) {
    std::vector<Member> members;
    for (const auto id : bounds.change) members.push_back({NodeId(id), Role::voter, {}});
    return replicated_log::Reconfigure{1, members};
  }
  // A request for a vote finds the promise to an earlier leader lapsed: otherwise it is as if it were lost.
  static Duration patience(const Protocol& p, const Message& message, Instant now) {
    const bool asks =
        std::holds_alternative<raft::RequestVote>(message) || std::holds_alternative<raft::PreVote>(message);
    return asks && p.state() != raft::State::leader && p.bound_to_a_leader(now) ? timeout : Duration{};
  }
  static std::vector<Packet<raft::Message>> granted(const Bounds& bounds, NodeId self, const Protocol& p) {
    std::vector<Packet<raft::Message>> packets;
    if (bounds.pre_votes || p.state() != raft::State::pre_candidate) return packets;
    for (std::uint64_t i = 1; i <= bounds.nodes; ++i) {
      if (NodeId(i) != self)
        packets.push_back({NodeId(i), self, raft::PreVoteReply{p.term().next(), true, {}, {}}});
    }
    return packets;
  }
  // Whether that log is ahead is left open: who is asked to help answers only if it is.
  static constexpr TimerId campaign_timer = Protocol::election_timer;
  static std::vector<Packet<raft::Message>> refused(NodeId by, NodeId self, const Protocol& p) {
    constexpr Index far{1U << 30U};
    return {{by, self, raft::PreVoteReply{p.term(), false, far, p.term()}}};
  }
  static bool lost(const Bounds& bounds, const raft::Message& message) {
    return !bounds.pre_votes && std::holds_alternative<raft::PreVote>(message);
  }
  static bool fires(const Protocol& p, TimerId timer) {
    if (timer == Protocol::election_timer) return p.state() != raft::State::leader;
    return timer != Protocol::heartbeat_timer || p.state() == raft::State::leader;
  }
  static bool heartbeat(TimerId timer) { return timer != Protocol::election_timer; }
  static std::string timer_name(TimerId timer) {
    return timer == Protocol::election_timer    ? "its election timer"
           : timer == Protocol::heartbeat_timer ? "its heartbeat timer"
                                                : "its timer for reads";
  }
  static bool within(const Bounds& bounds, const Protocol& p, NodeId) {
    if (p.term().value > bounds.terms) return false;
    const bool campaigned = p.state() == raft::State::candidate || p.state() == raft::State::leader;
    return !campaigned || bounds.may_campaign(p.voted_for(), p.term().value);
  }
  static Glance glance(const Protocol& p, const Recovered& disk) {
    Glance glance{p.term().value, p.state(), {}};
    const auto it = disk.records.find(raft::hard_state_key);
    const auto hard =
        it == disk.records.end() ? raft::HardState{} : *codec::decode<raft::HardState>(it->second);
    glance.term = std::min(glance.term, hard.term.value);
    for (std::uint64_t i = 0; i < glance.match.size(); ++i) {
      if (const auto* progress = p.progress(NodeId(i + 1))) glance.match[i] = progress->match.value;
    }
    return glance;
  }
  static Note note(const Message& message) {
    Note note;
    note.kind = static_cast<std::uint8_t>(message.index());
    std::visit(
        [&](const auto& m) {
          if constexpr (requires { m.term; }) note.term = m.term.value;
          if constexpr (requires { m.success; }) note.success = m.success;
          if constexpr (requires { m.vote_granted; }) note.success = m.vote_granted;
          if constexpr (requires {
                          m.success;
                          m.term;
                        })
            note.index = m.index.value;
        },
        message);
    return note;
  }
  template <class M>
  static bool is(const Note& note) {
    return note.kind == place_of<M, Message>;
  }
  // See README.md, "Messages without effect".
  static bool dead(const Flying<Note>& m, Sender sender, const Glance& receiver) {
    const bool past = m.note.term < receiver.term;
    const bool present = m.note.term == receiver.term;
    if (is<raft::RequestVoteReply>(m.note))
      return past || (present && (!m.note.success || receiver.state != raft::State::candidate));
    if (is<raft::PreVoteReply>(m.note)) return m.note.success && (past || present);
    if (is<raft::AppendEntriesReply>(m.note) || is<raft::HeartbeatReply>(m.note)) {
      const bool leads = receiver.state == raft::State::leader;
      if (past || (present && !leads && receiver.state != raft::State::candidate)) return true;
      if (!present || !leads || m.bounds.heartbeats != 0) return false;
      if (is<raft::HeartbeatReply>(m.note)) return m.bounds.reads == 0 && m.bounds.ticks == 0;
      return m.note.index <= receiver.match[m.from];
    }
    if (is<raft::RequestVote>(m.note) || is<raft::AppendEntries>(m.note) || is<raft::Heartbeat>(m.note) ||
        is<raft::CommitIndex>(m.note))
      return past && sender >= m.bounds.terms && m.bounds.heartbeats == 0;
    if (is<raft::TimeoutNow>(m.note)) return past;
    return false;
  }
  static void record(Canonical& to, const RecordKey& key, const Bytes& value) {
    to.bytes(key);
    if (key != raft::hard_state_key) return to.bytes(value.view());
    const auto hard = codec::decode<raft::HardState>(value);
    if (!hard) return to.bytes(value.view());
    to.add(hard->term);
    to.node(hard->voted_for);
  }
  static std::vector<Fact> facts(const Protocol& p, const Host& host) {
    std::vector<Fact> facts;
    if (p.state() == raft::State::leader)
      facts.push_back({"the leader of term " + to_string(p.term()), "", p.leader(), p.term(), {}, {}});
    for (Index i = p.log().base().next(); i <= p.commit(); ++i) {
      const Entry& entry = p.log().at(i);
      facts.push_back(
          {"the committed entry " + to_string(i), codec::to_json(entry), {}, p.term(), i, entry.epoch});
    }
    if (host.cuts && !host.live.index.none())
      facts.push_back({"the state at " + to_string(host.live.index), host.live.digest.str(), {}, {}, {}, {}});
    return facts;
  }
  static std::string shape(const Protocol& p) {
    std::string text = to_string(p.log().base());
    for (Index i = p.log().base().next(); i <= p.log().last(); ++i) text += codec::to_json(p.log().at(i));
    return text;
  }
  static std::optional<std::string> take(Host& host, NodeId self, const replicated_log::Event& event,
                                         Sent& sent) {
    if (const auto* ready = std::get_if<replicated_log::ReadReady>(&event)) {
      for (const auto id : ready->ids) {
        if (ready->index.value < id - 1)
          return "a read is served at index " + to_string(ready->index) + ", and " + std::to_string(id - 1) +
                 " was committed before it was asked";
      }
    }
    return host.take(self, event, sent);
  }
  // Leader Completeness (§3.6.3): what was committed in earlier terms is in the log of a leader.
  // And a lease holds only while nobody leads a later term (§6.4.1), whether or not a read is asked.
  static std::optional<std::string> contradicts(const Protocol& p, const Fact& fact,
                                                std::optional<Instant> time) {
    if (time && fact.index.none() && fact.epoch > p.term() && p.lease_valid(*time))
      return "the lease of term " + to_string(p.term()) + " holds, and " + fact.text();
    if (p.state() != raft::State::leader || fact.index.none() || fact.epoch >= p.term()) return std::nullopt;
    if (fact.index < p.log().base()) return std::nullopt;  // cut: the facts of states speak of it
    if (p.log().matches(fact.index, fact.entry_epoch)) return std::nullopt;
    return "leader completeness: " + fact.text() + ", and a later leader lacks it: " + p.describe();
  }
  // Log Matching (§3.5): logs with the same term at an index are the same up to it.
  static std::optional<std::string> differ(const Protocol& a, const Protocol& b) {
    bool matched = false;
    const Index cut = std::max(a.log().base(), b.log().base());
    for (Index i = std::min(a.log().last(), b.log().last()); i > cut; i = i.prev()) {
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
