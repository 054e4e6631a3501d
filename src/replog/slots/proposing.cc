// The slot log's own proposals, and the reads that ride on them.
#include <algorithm>

#include "core/codec.h"
#include "replog/slots/slot_log.h"

namespace quorate::slots {

using replicated_log::Refusal;
using replicated_log::Refused;

template <class Own>
static void make_noop(Own& own, std::uint64_t sequence) {  // which carries its readers on
  own = {.sequence = sequence,
         .kind = EntryKind::noop,
         .payload = {},
         .request = 0,
         .insist = false,
         .readers = std::move(own.readers)};
}

void SlotLog::ask(Env&, const replicated_log::Propose& r, Out& out) {
  if (!leads()) {
    const auto reason = omega_.leader().none() ? Refusal::no_leader : Refusal::not_leader;
    return out.emit(Refused{r.id, reason, omega_.leader()});
  }
  std::size_t bytes = 0;
  for (const auto& payload : r.payloads) bytes += payload.size();
  if (queue_.size() + r.payloads.size() > options_.max_queued ||
      queued_bytes_ + bytes > options_.max_queued_bytes) {
    return out.emit(Refused{r.id, Refusal::busy, self_});
  }
  for (const auto& payload : r.payloads) {
    queue({.sequence = ++sequence_,
           .kind = EntryKind::payload,
           .payload = payload,
           .request = r.id,
           .insist = true,
           .readers = {}});
  }
}

void SlotLog::ask(Env&, const replicated_log::Reconfigure& r, Out& out) {
  if (!leads()) {
    const auto reason = omega_.leader().none() ? Refusal::no_leader : Refusal::not_leader;
    return out.emit(Refused{r.id, reason, omega_.leader()});
  }
  Membership membership{.members = r.members, .outgoing = {}, .departing = {}};
  std::ranges::sort(membership.members, {}, &Member::id);
  if (!well_formed(membership)) return out.emit(Refused{r.id, Refusal::invalid, self_});
  const auto changes = [](const Own& own) { return own.kind == EntryKind::membership; };
  const bool proposed = !changes_.empty() || std::ranges::any_of(queue_, changes) ||
                        std::ranges::any_of(assigned_, [&](const auto& own) { return changes(own.second); });
  if (proposed || configurations_.pending(next_))
    return out.emit(Refused{r.id, Refusal::change_pending, self_});
  queue({.sequence = ++sequence_,
         .kind = EntryKind::membership,
         .payload = codec::encode(membership),
         .request = r.id,
         .insist = true,
         .readers = {},
         .members = membership.members,
         .base = r.base});
}

void SlotLog::queue(Own own) {
  queued_bytes_ += own.payload.size();
  // By age: a displaced proposal comes before those that were asked for later.
  const auto at = std::ranges::upper_bound(queue_, own.sequence, {}, &Own::sequence);
  queue_.insert(at, std::move(own));
}

// Up to here the window is to be filled with no-ops: something happened in a later slot, which cannot be
// executed before these, or a decided membership waits to come into force.
Index SlotLog::fill_upto() const {
  Index upto;
  if (!decided_.empty()) upto = decided_.rbegin()->first;
  upto = std::max(upto, instances_.highest());
  for (const NodeId voter : voters()) {
    if (const auto* peer = omega_.peer(voter)) upto = std::max(upto, peer->seen);
  }
  if (const auto* change = configurations_.pending(next_)) upto = std::max(upto, change->from.prev());
  return std::min(upto, end_of_window().prev());
}

void SlotLog::pump(Env& env, Out& out) {
  // A value may not leave before the incarnation in it is this one's for good.
  if (!leads() || durable_ < incarnation_ticket_ || awaiting_configurations_) return;
  const Index fill = fill_upto();
  for (Index slot = next_; slot < end_of_window(); ++slot) {
    if (decided_.contains(slot) || assigned_.contains(slot)) continue;
    if (queue_.empty() && slot > fill) {
      const auto reads = [](const auto& own) { return !own.second.readers.empty(); };
      // One marker in flight at a time: the reads that come meanwhile share the next.
      if (readers_.empty() || std::ranges::any_of(assigned_, reads)) break;
    }
    if (!open(env, slot, out)) break;
    Own own;
    if (!queue_.empty()) {
      own = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= own.payload.size();
    } else {
      own.sequence = ++sequence_;
    }
    if (own.kind == EntryKind::membership) adjust(own, slot, out);
    // A slot that is still to be won by a value proposed after the reads came is behind all that was executed
    // before they came.
    std::ranges::move(std::exchange(readers_, {}), std::back_inserter(own.readers));
    const Value value{self_, incarnation_, own.sequence, own.kind, own.payload};
    assigned_.emplace(slot, std::move(own));
    instances_.propose(env, slot, codec::encode(value), out);
  }
}

// The outcome of a slot, for the proposal this node had in it.
void SlotLog::settle(Index slot, const Value& value, Out& out) {
  const auto it = assigned_.find(slot);
  if (it == assigned_.end()) return;
  Own own = std::move(it->second);
  assigned_.erase(it);
  const bool mine =
      value.origin == self_ && value.incarnation == incarnation_ && value.sequence == own.sequence;
  if (mine) return won(std::move(own), slot, out);
  // From a log that does not say whose it was: the same content need not be proposed again. But another node
  // may have proposed it, long ago: the reads that were to ride on it go on with a no-op
  // (AChangeLearntFromALogIsNotTakenForTheOwn).
  const bool alike = value.origin.none() && value.kind != EntryKind::noop && value.kind == own.kind &&
                     value.payload == own.payload;
  if (alike) make_noop(own, ++sequence_);
  displaced(std::move(own), out);
}

// A change is given up if all of its slots hereafter are void, or the members it was to replace are others by
// now. Whoever is in force at a slot is known when it is opened: `alpha` slots lie between.
void SlotLog::adjust(Own& change, Index slot, Out& out) {
  const auto* latest = configurations_.latest();
  if (latest == nullptr) return;
  const auto& now = latest->membership.members;
  if (latest->from > slot || (!change.base.empty() && !same_members(change.base, now)))
    return give_up(change, out);
  change.payload = codec::encode(Membership{rebased(change.members, change.base, now), {}, {}});
}

// For another one is decided.
void SlotLog::give_up(Own& change, Out& out) {
  supersede({change.request, change.payload}, out);
  make_noop(change, ++sequence_);
}

// What another one asked for as well comes into force, and that tells.
void SlotLog::supersede(const AskedChange& asked, Out& out) {
  if (codec::encode(configurations_.latest()->membership) == asked.membership) return;
  refuse(asked.request, Refusal::superseded, out);
}

void SlotLog::won(Own own, Index slot, Out& out) {
  if (own.kind == EntryKind::membership && own.request != 0)
    changes_.emplace(slot, AskedChange{own.request, std::move(own.payload)});
  replicated_log::ReadReady ready{.ids = {}, .index = slot};
  for (const auto& reader : own.readers) {
    if (reader.node == self_) {
      ready.ids.push_back(reader.number);
    } else {
      out.send(reader.node, ReadAnswer{reader.incarnation, reader.number, slot});
    }
  }
  reads_unanswered_ -= ready.ids.size();
  if (!ready.ids.empty()) out.emit(std::move(ready));
}

void SlotLog::displaced(Own own, Out& out) {
  if (!own.insist && own.readers.empty()) return;
  if (leads()) return queue(std::move(own));
  keep_reads(own);
  refuse(own.request, Refusal::lost_leadership, out);
}

// Once per request: what else there is of it goes without a word, or ends in the log.
void SlotLog::refuse(std::uint64_t request, Refusal reason, Out& out) {
  if (request == 0) return;
  out.emit(Refused{request, reason, omega_.leader()});
  for (auto& [slot, own] : assigned_) {
    if (own.request == request) own.request = 0;
  }
  std::erase_if(queue_, [&](Own& own) {
    if (own.request != request) return false;
    queued_bytes_ -= own.payload.size();
    keep_reads(own);
    return true;
  });
}

// The reads that were to ride on it go on without it: this node's own; another node asks again by itself.
void SlotLog::keep_reads(Own& own) {
  for (const auto& reader : std::exchange(own.readers, {})) {
    if (reader.node == self_) local_reads_.push_back(reader.number);
  }
}

// Leadership went: what was not proposed yet is for the new leader, and so are all reads, for it may be long
// until the slots are decided that they ride on. Of a request with several payloads some may be in the log.
void SlotLog::refuse_queue(Out& out) {
  while (!queue_.empty()) {
    Own own = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= own.payload.size();
    keep_reads(own);
    refuse(own.request, Refusal::lost_leadership, out);
  }
  for (auto& [slot, own] : assigned_) keep_reads(own);
}

// -------------------------------------------------------------------------------------------------- reads

void SlotLog::ask(Env&, const replicated_log::ReadBarrier& r, Out& out) {
  // A leader that is known and does not answer, be it for a link that carries one way, must cost no memory.
  if (reads_unanswered_ >= options_.max_reads) return out.emit(Refused{r.id, Refusal::busy, omega_.leader()});
  ++reads_unanswered_;
  local_reads_.push_back(r.id);
}

void SlotLog::route_reads(Out& out) {
  if (leads()) {
    if (forwarded_) {
      local_reads_.insert(local_reads_.begin(), forwarded_->ids.begin(), forwarded_->ids.end());
      forwarded_.reset();
    }
    for (const auto id : std::exchange(local_reads_, {})) readers_.push_back({self_, incarnation_, id});
    return;
  }
  for (const auto& reader : std::exchange(readers_, {})) {
    if (reader.node == self_) local_reads_.push_back(reader.number);  // another node asks again by itself
  }
  if (omega_.leader().none() || forwarded_ || local_reads_.empty() || durable_ < incarnation_ticket_) return;
  // One batch under way at a time: reads that come meanwhile share the next.
  forwarded_ = ForwardedReads{++read_number_, std::exchange(local_reads_, {})};
  out.send(omega_.leader(), ReadRequest{incarnation_, forwarded_->number});
}

void SlotLog::on(Env&, NodeId from, const ReadRequest& m, Out& out) {
  // It may take this node for the leader as long as it does not hear the one that leads (a chain of links),
  // and must hear that it waits in vain.
  if (!leads()) return out.send(from, ReadAnswer{m.incarnation, m.number, Index()});
  const Reader reader{from, m.incarnation, m.number};
  const auto waiting = std::ranges::find(readers_, from, &Reader::node);
  if (waiting != readers_.end()) {  // a node has one batch under way
    *waiting = std::max(*waiting, reader);
  } else if (!rides(reader)) {
    readers_.push_back(reader);
  }
}

// What is asked for again has its place already, on a proposal whose slot is not decided.
bool SlotLog::rides(const Reader& reader) const {
  const auto carries = [&](const Own& own) {
    return std::ranges::find(own.readers, reader) != own.readers.end();
  };
  return std::ranges::any_of(queue_, carries) ||
         std::ranges::any_of(assigned_, [&](const auto& own) { return carries(own.second); });
}

void SlotLog::on(Env&, NodeId from, const ReadAnswer& m, Out& out) {
  if (m.incarnation != incarnation_ || !forwarded_ || forwarded_->number != m.number) return;
  // The batch is repeated to each new leader: that an earlier one no longer leads says nothing.
  if (m.index.none() && from != omega_.leader()) return;
  const auto ids = std::exchange(forwarded_, {})->ids;
  reads_unanswered_ -= ids.size();
  if (!m.index.none()) return out.emit(replicated_log::ReadReady{ids, m.index});
  for (const auto id : ids) out.emit(Refused{id, Refusal::not_leader, NodeId()});
}

void SlotLog::refuse_reads(Out& out) {
  if (forwarded_) local_reads_.insert(local_reads_.end(), forwarded_->ids.begin(), forwarded_->ids.end());
  forwarded_.reset();
  reads_unanswered_ -= local_reads_.size();
  for (const auto id : std::exchange(local_reads_, {})) out.emit(Refused{id, Refusal::no_leader, NodeId()});
}

}  // namespace quorate::slots
