#include "sim/checks.h"

#include <type_traits>

#include <boost/mp11.hpp>

#include "check/quorum_overlap.h"
#include "core/codec.h"
#include "replica/messages.h"
#include "replog/raft/messages.h"
#include "sim/frame_kind.h"

namespace quorate::sim {

namespace {

// What the protocols with leaders of epochs, which is Raft, make durable beside the log.
std::optional<check::Ballot> ballot_in(const Bytes& record) {
  const auto hard = codec::decode<raft::HardState>(record);
  if (!hard) return std::nullopt;
  return check::Ballot{hard->term, hard->voted_for};
}

std::optional<check::Ballot> ballot_in(const std::vector<Write>& writes) {
  for (const Write& write : writes) {
    const auto* put = std::get_if<PutRecord>(&write);
    if (put != nullptr && put->key == raft::hard_state_key) return ballot_in(put->value);
  }
  return std::nullopt;
}

// Which epoch an answer says its sender is in; none where it says no such thing.
std::optional<Epoch> epoch_told(const Bytes& frame) {
  using namespace raft;
  static constexpr auto kind_of = [](auto place) { return frame_kinds::numbered(1, place); };
  using boost::mp11::mp_find;
  switch (frame_kind(frame, false)) {
    case kind_of(mp_find<Message, RequestVoteReply>::value):
    case kind_of(mp_find<Message, PreVoteReply>::value):
    case kind_of(mp_find<Message, AppendEntriesReply>::value):
    case kind_of(mp_find<Message, HeartbeatReply>::value): break;
    default: return std::nullopt;
  }
  const auto message = codec::decode<Message>(protocol_message(frame));
  if (!message) return std::nullopt;
  return std::visit(
      [](const auto& m) -> std::optional<Epoch> {
        if constexpr (std::is_same_v<std::decay_t<decltype(m)>, PreVoteReply>) {
          if (m.vote_granted) return std::nullopt;  // that tells the epoch that was asked about
        }
        if constexpr (requires { m.term; }) return m.term;
        return std::nullopt;
      },
      *message);
}

}  // namespace

void Checks::started(NodeId node, const Recovered& recovered, const Membership& initial) {
  safety_.position(node, recovered.snapshot ? recovered.snapshot->index : Index());
  if (!leaders_) return paxos_.started(node, recovered, initial);
  take("log matching", logs_.recovered(node, recovered));
  const auto record = recovered.records.find(raft::hard_state_key);
  const auto ballot = record == recovered.records.end() ? std::nullopt : ballot_in(record->second);
  copies_.of(node).recovered(recovered, initial, ballot.value_or(check::Ballot{}));
  copies_.regain(node);
  count_votes(node);
}

void Checks::damaged(NodeId node, const std::map<RecordKey, Bytes>& records) {
  const auto record = records.find(raft::hard_state_key);
  const auto ballot = record == records.end() ? std::nullopt : ballot_in(record->second);
  if (ballot) copies_.lost_entries(node, ballot->epoch);
}

void Checks::wrote(NodeId node, Ticket ticket, const std::vector<Write>& writes) {
  if (!leaders_) {
    take("bound acceptor", paxos_.forgets(node, writes));
    return take("one value", paxos_.wrote(node, ticket, writes));
  }
  for (const Write& write : writes) take("log matching", logs_.written(node, write));
  const auto ballot = ballot_in(writes);
  check::LogCopy& copy = copies_.of(node);
  const auto kept = commitment_.before(node, ballot ? ballot->epoch : copy.epoch(), writes);
  copy.written(ticket, writes, ballot);
  take("commitment", commitment_.after(node, kept, writes));
  judge_changes(node, writes);
}

// A configuration is in force from the moment it is in the leader's log. Who led its epoch once and gets it
// back from a later leader changes nothing.
void Checks::judge_changes(NodeId node, const std::vector<Write>& writes) {
  const Epoch own = copies_.of(node).epoch();
  if (commitment_.leader(own) != node) return;
  for (const Write& write : writes) {
    const auto* append = std::get_if<AppendEntries>(&write);
    if (append == nullptr) continue;
    for (const Entry& entry : append->entries) {
      if (entry.kind != EntryKind::membership || entry.epoch != own) continue;
      if (const auto next = codec::decode<Membership>(entry.payload))
        take("quorum overlap", check::quorums_overlap(copies_, node, own, *next));
    }
  }
}

void Checks::sends(NodeId node, const Bytes& frame) {
  if (!leaders_) return take("one ballot", paxos_.sends(node, frame));
  const auto told = epoch_told(frame);
  if (!told || *told <= copies_.of(node).durable_epoch()) return;
  fail("durable epoch", "node " + to_string(node) + " answers in epoch " + to_string(*told) +
                            ", and would know nothing of it if it crashed now");
}

void Checks::durable(NodeId node, Ticket upto) {
  if (!leaders_) return paxos_.durable(node, upto);
  copies_.of(node).durable(upto);
  copies_.regain(node);
  count_votes(node);
}

void Checks::count_votes(NodeId node) {
  auto& copy = copies_.of(node);
  while (const auto ballot = copy.next_ballot())
    take("one vote", votes_.durable(node, *ballot, copies_.abstains(node)));
}

void Checks::committed(NodeId node, const std::vector<Entry>& entries) {
  bool news = false;
  for (const Entry& entry : entries) {
    const bool first = !safety_.known(entry.index);
    take("state machine safety", safety_.committed(node, entry.index, check::fingerprint(entry)));
    if (!first) continue;
    first_committed(entry);
    if (leaders_) {
      commitment_.committed(entry, copies_.of(node).epoch());
    } else {
      take("one value", paxos_.committed(entry));
    }
    news = true;
  }
  if (!leaders_ || entries.empty()) return;
  logs_.committed(node, entries.back().index);
  if (news) take("commitment", commitment_.stands(node));
}

void Checks::first_committed(const Entry& entry) {
  if (entry.kind == EntryKind::membership) {
    auto membership = codec::decode<Membership>(entry.payload);
    if (membership) removal_.committed(entry.index, *membership);
    if (membership && entry.index > membership_index_) {
      membership_index_ = entry.index;
      membership_ = std::move(*membership);
    }
  }
  if (entry.kind != EntryKind::payload) return;
  const auto batch = codec::decode<replica::CommandBatch>(entry.payload);
  if (!batch) return;
  for (const auto& command : batch->commands) {
    if (!admission_.admit(command)) continue;
    if (companion_ != nullptr) companion_->committed(command, entry.index);
    const std::uint64_t id = model_->id_of(command.body);
    if (id != 0) take("refused means not done", durability_.committed(id, entry.index));
  }
}

void Checks::leads(NodeId node, Epoch epoch) {
  if (epoch.none()) return;  // leadership as a hint only: it excludes no other and promises nothing
  if (!leaders_) return;
  take("election safety", elections_.leads(node, epoch));
  take("leader completeness", logs_.leads(node, epoch));
  take("vote quorum", votes_.leads(node, epoch, copies_.of(node)));
  commitment_.leads(node, epoch);
  latest_epoch_ = std::max(latest_epoch_, epoch);
}

void Checks::applied(NodeId node, Index index, const Bytes& digest) {
  take("digest agreement", digests_.state(node, index, digest));
}

void Checks::acknowledged(std::uint64_t command) { take("durability", durability_.acknowledged(command)); }
void Checks::refused(std::uint64_t command) { take("refused means not done", durability_.refused(command)); }
void Checks::final_state(NodeId node, Index applied) {
  take("durability", durability_.final_state(node, applied));
}

}  // namespace quorate::sim
