// Replicated logs on the stage: "protocol NAME".
#include <fmt/ranges.h>

#include "registry/registry.h"
#include "replica/messages.h"
#include "replog/slots/messages.h"
#include "sim/theatre/scene_host.h"
#include "sim/theatre/theatre.h"

namespace quorate::sim {

namespace {

namespace rl = replicated_log;

struct LogPart {
  NodeId leader;
  Membership membership;  // the last one committed
  SceneHost host;
};

// What a slot decides on is an encoded value with its proposer.
std::string slot_value(std::string_view bytes) {
  const auto value = codec::decode<slots::Value>(Bytes::copy(bytes));
  if (!value || value->origin.none()) return std::string(bytes);
  if (value->kind == EntryKind::noop) return "no-op";
  return value->kind == EntryKind::membership ? "membership" : value->payload.str();
}

std::string ids(const std::vector<NodeId>& nodes) {
  std::vector<std::uint64_t> values;
  for (const NodeId id : nodes) values.push_back(id.value);
  return fmt::format("{}", fmt::join(values, ","));
}

class LogTheatre final : public Staged<rl::Protocol, LogPart> {
 public:
  explicit LogTheatre(const registry::Descriptor& protocol) : make_(protocol.make) {
    if (protocol.family == registry::Family::agreement) payload_ = slot_value;
  }

  void run(const Words& words) override {
    const std::string& verb = words[0];
    if (verb == "batch") return void(settings_.max_batch_bytes = number(word(words, 1)));
    if (verb == "keep") return void(settings_.keep_entries = number(word(words, 1)));
    if (verb == "nodes") return found(words);
    if (verb == "propose") return propose(actor(word(words, 1)), words);
    if (verb == "read") return read(actor(word(words, 1)), words.size() > 2);
    if (verb == "transfer")
      return ask(actor(word(words, 1)), rl::TransferLeadership{++next_request_, node_id(word(words, 2))});
    if (verb == "reconfigure") return reconfigure(words);
    if (verb == "snapshot")
      return ask(actor(word(words, 1)), rl::SnapshotAvailable{actor(words[1]).part.host.flush()});
    if (verb == "resend") return resend(actor(word(words, 1)), node_id(word(words, 2)));
    if (verb == "expect") return expect(words);
    Staged::run(words);
  }

 private:
  std::unique_ptr<rl::Protocol> make(Actor& a) override {
    rl::Settings settings = settings_;
    settings.self = a.id;
    if (initial_.find(a.id) != nullptr) settings.initial = initial_;
    return make_(settings, a.disk.contents());
  }

  void happened(Actor& a, const rl::Event& event) override {
    std::visit([&](const auto& e) { on(a, e); }, event);
  }
  void on(Actor& a, const rl::Committed& committed) {
    for (const Entry& entry : committed.entries) {
      const std::string text = entry.kind == EntryKind::payload      ? entry.payload.str()
                               : entry.kind == EntryKind::membership ? "(membership)"
                                                                     : "(no-op)";
      a.part.host.committed(entry, text, a.part.membership);
      say(a.id, "commits {} {}", entry.index.value, text);
    }
  }
  void on(Actor& a, const rl::LeaderChanged& leader) {
    const NodeId before = std::exchange(a.part.leader, leader.leader);
    if (leader.leader == a.id) {
      say(a.id, "leads{}", leader.epoch.none() ? "" : fmt::format(" epoch {}", leader.epoch.value));
    } else if (before == a.id) {
      say(a.id, "leads no more");
    }
  }
  void on(Actor& a, const rl::ReadReady& ready) {
    say(a.id, "may read {} at index {}", fmt::join(ready.ids, ","), ready.index.value);
  }
  void on(Actor& a, const rl::Refused& refused) {
    static constexpr const char* reasons[] = {"not leader", "no leader",       "busy",     "change pending",
                                              "invalid",    "lost leadership", "not ready"};
    say(a.id, "refuses {}: {}", refused.id, reasons[static_cast<std::size_t>(refused.reason)]);
  }
  void on(Actor& a, const rl::MembershipChanged& changed) {
    if (changed.committed) a.part.membership = changed.membership;
    if (changed.index.none()) return;
    const auto& outgoing = changed.membership.outgoing;
    say(a.id, "has voters {}{}{}", ids(changed.membership.voters()),
        outgoing.empty() ? "" : " and until then " + ids(outgoing), changed.committed ? "" : ", uncommitted");
  }
  void on(Actor& a, const rl::SendSnapshot& wanted) {
    say(a.id, "sends {} a snapshot", wanted.to.value);
    ship(a, wanted.to, a.part.host.send_snapshot(wanted.to, wanted.epoch, ++next_transfer_, a.now));
  }
  void on(Actor& a, const rl::Restore& restored) {
    a.part.host.restore();
    say(a.id, "goes on from the snapshot at {}", restored.meta.index.value);
  }
  void on(Actor& a, const rl::Halt& halt) { say(a.id, "halts: {}", halt.reason); }
  void on(Actor& a, const rl::Rejoining& rejoining) {
    say(a.id, "{}", rejoining.over ? "has again what it lost" : "lost entries, and votes for nobody");
  }

  void crashed(Actor& a) override {
    a.part.leader = {};
    a.part.host.crash();
  }

  // What hosts tell each other: the chunks of a snapshot, and their acknowledgements.
  void ship(Actor& a, NodeId to, const SceneHost::Chunks& chunks) {
    for (const auto& chunk : chunks) post(a, to, {codec::encode(replica::Frame(chunk)), true});
  }
  void resend(Actor& a, NodeId to) { ship(a, to, a.part.host.resend(to, a.now)); }

  void received(Actor& to, NodeId from, const Parcel& parcel) override {
    const auto frame = codec::decode<replica::Frame>(parcel.message);
    if (!frame) return;
    if (const auto* chunk = std::get_if<replica::SnapshotChunk>(&*frame)) {
      const auto step = to.part.host.receive(from, *chunk, to.now);
      post(to, from, {codec::encode(replica::Frame(step.ack)), true});
      if (step.completed) ask(to, rl::SnapshotReceived{from, chunk->epoch, chunk->meta});
    } else if (const auto* ack = std::get_if<replica::SnapshotAck>(&*frame)) {
      std::optional<rl::SnapshotDelivered> ended;
      ship(to, from, to.part.host.acknowledged(from, *ack, to.now, ended));
      if (ended) ask(to, *ended);
    }
  }

  std::string explain(const Parcel& parcel, const rl::Protocol& speaker) const override {
    if (!parcel.between_hosts) return Staged::explain(parcel, speaker);
    const auto frame = codec::decode<replica::Frame>(parcel.message);
    if (const auto* chunk = frame ? std::get_if<replica::SnapshotChunk>(&*frame) : nullptr) {
      return fmt::format("SnapshotChunk of {} number={}{}", chunk->meta.index.value, chunk->number,
                         chunk->last ? ", the last" : "");
    }
    const auto* ack = frame ? std::get_if<replica::SnapshotAck>(&*frame) : nullptr;
    if (ack == nullptr) return "something";
    return ack->done      ? "SnapshotAck done"
           : ack->refused ? "SnapshotAck refused"
                          : fmt::format("SnapshotAck next={}", ack->next);
  }

  void found(const Words& words) {
    const auto learners = words.size() > 3 ? node_list(words[3]) : std::vector<NodeId>();
    const std::uint64_t count = number(word(words, 1));
    for (std::uint64_t i = 1; i <= count; ++i) {
      const bool learns = std::ranges::find(learners, NodeId(i)) != learners.end();
      initial_.members.push_back({NodeId(i), learns ? Role::learner : Role::voter, {}});
    }
    for (std::uint64_t i = 1; i <= count; ++i) start(actor(NodeId(i)));
  }
  void propose(Actor& a, const Words& words) {
    std::vector<Bytes> payloads;
    for (std::size_t i = 2; i < words.size(); ++i) payloads.push_back(Bytes::copy(words[i]));
    say(a.id, "is asked for {}", joined(words, 2));
    ask(a, rl::Propose{++next_request_, std::move(payloads)});
  }
  void read(Actor& a, bool lease) {
    const auto mode = lease ? rl::ReadMode::lease : rl::ReadMode::quorum;
    say(a.id, "is asked for read {}{}", ++next_request_, lease ? " by lease" : "");
    ask(a, rl::ReadBarrier{next_request_, mode});
  }
  void reconfigure(const Words& words) {
    std::vector<Member> members;
    for (const NodeId id : node_list(word(words, 2))) members.push_back({id, Role::voter, {}});
    if (words.size() > 4) {
      for (const NodeId id : node_list(words[4])) members.push_back({id, Role::learner, {}});
    }
    std::ranges::sort(members, {}, &Member::id);
    for (const Member& member : members) {
      if (Actor& each = actor(member.id); !each.protocol && each.disk.empty()) start(each);
    }
    ask(actor(words[1]), rl::Reconfigure{++next_request_, std::move(members)});
  }

  void expect(const Words& words) {
    if (words.size() == 3 && words[1] == "leader") {
      const NodeId id = node_id(words[2]);
      return check(actor(id).part.leader == id, id, "to lead");
    }
    if (words.size() == 3 && words[1] == "no") {
      for (const auto& [id, a] : actors_)
        check(a.part.leader.none() || a.part.leader != id, id, "not to lead");
      return;
    }
    const bool nothing = words.size() == 4 && words[1] == "nothing" && words[2] == "committed";
    if (!nothing && (words.size() < 3 || words[1] != "committed")) throw Usage{"expect what?"};
    const Actor& a = actor(words[nothing ? 3 : 2]);
    Words got;
    for (const auto& [index, what] : a.part.host.state()) {
      if (what.front() != '(') got.push_back(what);
    }
    check(got == (nothing ? Words() : Words(words.begin() + 3, words.end())), a.id,
          fmt::format("to have committed {}: it is {}", nothing ? "nothing" : joined(words, 3), joined(got)));
  }

  rl::Factory make_;
  rl::Settings settings_;
  Membership initial_;
  std::uint64_t next_request_ = 0;
  std::uint64_t next_transfer_ = 0;
};

}  // namespace

std::unique_ptr<Theatre> make_log_theatre(const Words& words) {
  const auto protocol = registry::find(word(words, 1));
  if (!protocol) throw Usage{protocol.error()};
  return std::make_unique<LogTheatre>(**protocol);
}

}  // namespace quorate::sim
