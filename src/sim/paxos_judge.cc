#include "sim/paxos_judge.h"

#include <algorithm>
#include <charconv>

#include "agreement/paxos/messages.h"
#include "core/codec.h"
#include "replica/messages.h"
#include "replog/slots/messages.h"
#include "replog/slots/slot_log.h"
#include "sim/frame_kind.h"

namespace quorate::sim {

namespace {

// What is written of a slot: "slot/N/accepted", "slot/N/round".
struct SlotKey {
  Index slot;
  std::string_view name;
};
std::optional<SlotKey> parse(std::string_view key) {
  constexpr std::string_view before = "slot/";
  if (!key.starts_with(before)) return std::nullopt;
  std::uint64_t slot = 0;
  const char* end = key.data() + key.size();
  const auto [at, error] = std::from_chars(key.data() + before.size(), end, slot);
  if (error != std::errc() || at == end) return std::nullopt;
  return SlotKey{Index(slot), std::string_view(at + 1, end)};
}

struct Prepare {
  Index slot;
  paxos::Ballot n;
};
std::optional<Prepare> prepare_in(const Bytes& frame) {
  const auto outer = codec::decode<replica::Frame>(frame);
  if (!outer || !std::holds_alternative<replica::ProtocolFrame>(*outer)) return std::nullopt;
  const auto message = codec::decode<slots::Message>(std::get<replica::ProtocolFrame>(*outer).message);
  if (!message || !std::holds_alternative<slots::InSlot>(*message)) return std::nullopt;
  const auto& in_slot = std::get<slots::InSlot>(*message);
  const auto inner = codec::decode<paxos::Message>(in_slot.message);
  if (!inner || !std::holds_alternative<paxos::Prepare>(*inner)) return std::nullopt;
  return Prepare{in_slot.slot, std::get<paxos::Prepare>(*inner).n};
}

}  // namespace

void PaxosJudge::started(NodeId node, const Recovered& recovered, const Membership& initial) {
  if (acceptors_.empty() && !initial.members.empty()) acceptors_.push_back({Index(1), initial});
  nodes_[node] = {};
  if (recovered.snapshot) nodes_[node].logged = recovered.snapshot->index;
  if (!recovered.log.empty()) nodes_[node].logged = std::max(nodes_[node].logged, recovered.log.back().index);
  for (const auto& [key, value] : recovered.records) (void)note(node, Ticket(), PutRecord{key, value});
  durable(node, Ticket());
}

// Writes of one ticket are durable all or none, and tickets in their order.
PaxosJudge::Broken PaxosJudge::forgets(NodeId node, const std::vector<Write>& writes) {
  Index& logged = nodes_[node].logged;
  for (const Write& write : writes) {
    if (const auto* append = std::get_if<AppendEntries>(&write)) {
      if (!append->entries.empty()) logged = std::max(logged, append->entries.back().index);
    } else if (const auto* cut = std::get_if<SnapshotTaken>(&write)) {
      logged = std::max(logged, cut->meta.index);
    }
  }
  for (const Write& write : writes) {
    const auto* put = std::get_if<PutRecord>(&write);
    if (put == nullptr || !put->value.empty()) continue;
    const auto key = parse(put->key);
    if (key && key->slot > logged)
      return "node " + to_string(node) + " forgets what bound it in slot " + to_string(key->slot) +
             ", and its log ends at " + to_string(logged);
  }
  return std::nullopt;
}

PaxosJudge::Broken PaxosJudge::wrote(NodeId node, Ticket ticket, const std::vector<Write>& writes) {
  for (const Write& write : writes) {
    const auto* put = std::get_if<PutRecord>(&write);
    if (put == nullptr || put->value.empty()) continue;
    if (auto broken = note(node, ticket, *put)) return broken;
  }
  return std::nullopt;
}

PaxosJudge::Broken PaxosJudge::note(NodeId node, Ticket ticket, const PutRecord& record) {
  const auto key = parse(record.key);
  if (!key) return std::nullopt;
  auto& pending = nodes_[node].pending;
  if (key->name == "round") {
    if (const auto round = codec::decode<std::uint64_t>(record.value))
      pending.push_back({ticket, key->slot, {*round, node}, false});
    return std::nullopt;
  }
  if (key->name != "accepted") return std::nullopt;
  const auto proposal = codec::decode<paxos::Proposal>(record.value);
  if (!proposal) return std::nullopt;
  const auto value = codec::decode<slots::Value>(proposal->value);
  if (!value) return std::nullopt;
  const Ballot ballot(proposal->n.round, proposal->n.node);
  pending.push_back({ticket, key->slot, ballot, true});
  return values_.accepted(key->slot, ballot,
                          check::fingerprint(Entry{Epoch(), key->slot, value->kind, value->payload}));
}

void PaxosJudge::durable(NodeId node, Ticket upto) {
  Node& state = nodes_[node];
  while (!state.pending.empty() && state.pending.front().ticket <= upto) {
    const Note& note = state.pending.front();
    if (note.accepted) {
      values_.durable(note.slot, note.ballot, node);
    } else {
      state.rounds[note.slot] = note.ballot.first;
    }
    state.pending.pop_front();
  }
}

PaxosJudge::Broken PaxosJudge::sends(NodeId node, const Bytes& frame) const {
  if (frame_kind(frame, true) != agreement_kind(0)) return std::nullopt;
  const auto prepare = prepare_in(frame);
  if (!prepare) return std::nullopt;
  const auto& rounds = nodes_.at(node).rounds;
  const auto begun = rounds.find(prepare->slot);
  if (begun != rounds.end() && begun->second >= prepare->n.round) return std::nullopt;
  return "node " + to_string(node) + " begins ballot " + to_string(prepare->n) + " in slot " +
         to_string(prepare->slot) + ", and would use it again if it crashed now";
}

PaxosJudge::Broken PaxosJudge::committed(const Entry& entry) {
  if (acceptors_.empty()) return std::nullopt;
  while (acceptors_.size() > 1 && acceptors_[1].from <= entry.index) acceptors_.pop_front();
  if (entry.kind == EntryKind::membership) {
    if (auto membership = codec::decode<Membership>(entry.payload))
      acceptors_.push_back({entry.index + slots::Options{}.window, std::move(*membership)});
  }
  // A no-op may stand for a change of members that was void.
  const bool told = entry.kind != EntryKind::noop;
  return values_.chosen(entry.index, told ? std::optional(check::fingerprint(entry)) : std::nullopt,
                        acceptors_.front().membership);
}

}  // namespace quorate::sim
