// The leader's side of replication (§3.5, §3.6, §10.2.1): appending, pipelining, commitment by counting.
#include <algorithm>
#include <utility>

#include "core/codec.h"
#include "replog/raft/raft.h"

namespace quorate::raft {

namespace {
constexpr std::size_t max_uncommitted_bytes = 64U << 20U;
}

Progress* Raft::find(NodeId id) {
  const auto it = std::ranges::find(peers_, id, &Progress::id);
  return it == peers_.end() ? nullptr : &*it;
}

const Progress* Raft::progress(NodeId id) const {
  const auto it = std::ranges::find(peers_, id, &Progress::id);
  return it == peers_.end() ? nullptr : &*it;
}

void Raft::ask(Context& c, replicated_log::Propose& request) {
  if (state_ != State::leader)
    return refuse(c, request.id, leader_ ? Refusal::not_leader : Refusal::no_leader);
  if (request.payloads.empty()) return refuse(c, request.id, Refusal::invalid);
  if (transfer_) return refuse(c, request.id, Refusal::busy);  // §3.10 step 1
  std::size_t bytes = 0;
  for (const auto& payload : request.payloads) bytes += payload.size();
  if (uncommitted_bytes_ != 0 && uncommitted_bytes_ + bytes > max_uncommitted_bytes) {
    return refuse(c, request.id, Refusal::busy);
  }
  std::vector<Entry> entries;
  entries.reserve(request.payloads.size());
  Index index = log_.last();
  for (auto& payload : request.payloads) {
    entries.push_back(Entry{term_, ++index, EntryKind::payload, std::move(payload)});
  }
  proposals_.push_back({request.id, index});
  append_own(c, std::move(entries));
  broadcast_entries(c);
}

// The write and the messages of one step leave together: followers and the own disk work in parallel
// (§10.2.1). The own copy counts when Persisted says so.
void Raft::append_own(Context& c, std::vector<Entry> entries) {
  for (const auto& entry : entries) {
    uncommitted_bytes_ += cost(entry);
    log_.append(entry);
  }
  stage_log(quorate::AppendEntries{std::move(entries)});
  flush(c);
}

void Raft::broadcast_entries(Context& c) {
  for (auto& peer : peers_) replicate(c, peer);
}

// Sends what the flow control allows.
void Raft::replicate(Context& c, Progress& p) {
  while (p.flow != Progress::Flow::snapshot) {
    if (p.flow == Progress::Flow::probe && p.paused) return;
    if (p.next <= log_.base()) return request_snapshot(c, p);
    if (p.flow == Progress::Flow::probe) {
      p.paused = true;
      return send_entries(c, p);
    }
    if (p.next > log_.last() || p.inflight.full()) return;
    send_entries(c, p);
  }
}

void Raft::send_entries(Context& c, Progress& p) {
  const Packed& packed = entries_behind(c, p.next.prev());
  p.commit_sent = std::max(p.commit_sent, std::min(commit_, packed.end));
  if (p.flow == Progress::Flow::replicate && p.next <= packed.end) {
    p.next = packed.end.next();
    p.inflight.add(packed.end);
  }
  c.out.send_encoded(p.id, packed.message);
}

// A question only: does its log reach this far?
void Raft::send_empty(Context& c, Progress& p) {
  const Index prev = p.next.prev();
  p.commit_sent = std::max(p.commit_sent, std::min(commit_, prev));
  send(c, p.id, AppendEntries{term_, prev, log_.term(prev), {}, commit_});
}

const Raft::Packed& Raft::entries_behind(Context& c, Index prev) const {
  const bool packed = !c.packed.message.empty() && c.packed.term == term_ && c.packed.prev == prev &&
                      c.packed.last == log_.last() && c.packed.commit == commit_;
  if (packed) return c.packed;
  AppendEntries m{term_, prev, log_.term(prev), {}, commit_};
  m.entries = log_.slice(prev.next(), log_.last(), settings_.max_batch_bytes);
  const Index end = prev + m.entries.size();
  c.packed = {term_, prev, log_.last(), commit_, end, codec::encode(Message(std::move(m)))};
  return c.packed;
}

// Those that have the entries but were told an older commit index in the message that brought them.
void Raft::tell_commit(Context& c) {
  for (auto& p : peers_) {
    const Index commit = std::min(p.match, commit_);
    if (commit <= p.commit_sent) continue;
    p.commit_sent = commit;
    send(c, p.id, CommitIndex{term_, commit});
  }
}

void Raft::on(Context& c, NodeId from, const AppendEntriesReply& m) {
  auto* p = find(from);
  if (m.term > term_ && (p != nullptr || state_ != State::leader))
    return become_follower(c, m.term, NodeId());
  if (state_ != State::leader || m.term != term_ || p == nullptr || m.index > log_.last()) return;
  p->heard = c.env.now;
  p->forgiven = false;
  if (m.success) {
    if (m.index > p->match) {
      p->match = m.index;
      p->advanced = true;
    }
    p->next = std::max(p->next, p->match.next());
    p->inflight.acknowledge(m.index);
    if (p->flow == Progress::Flow::probe ||
        (p->flow == Progress::Flow::snapshot && p->match >= log_.base())) {
      p->flow = Progress::Flow::replicate;
      p->inflight.clear();
      p->next = p->match.next();
    }
    advance_commit(c);
    if (state_ != State::leader) return;
    p = find(from);  // committing a membership may have changed the peers
    if (p == nullptr) return;
    if (transfer_ && transfer_->to == from) continue_transfer(c);
    replicate(c, *p);
    return tell_commit(c);
  }
  // A rejection is stale if what it rejects is known to match by now, or is not what was asked last.
  if (m.index <= p->match || p->flow == Progress::Flow::snapshot) return;
  if (p->flow == Progress::Flow::probe && m.index != p->next.prev()) return;
  // §5.3 of the paper, fast back-off: skip the follower's whole conflicting term, or up to where we share it.
  Index next = m.conflict_index;
  if (!m.conflict_term.none()) {
    const Index shared = log_.last_not_after(m.conflict_term, m.index.prev());
    if (log_.term(shared) == m.conflict_term) next = shared.next();
  }
  p->probe_from(std::max(p->match.next(), std::min(next, m.index)));
  replicate(c, *p);
}

void Raft::on(Context& c, NodeId from, const HeartbeatReply& m) {
  auto* p = find(from);
  if (m.term > term_ && (p != nullptr || state_ != State::leader))
    return become_follower(c, m.term, NodeId());
  if (state_ != State::leader || m.term != term_ || p == nullptr || m.round > round_) return;
  p->heard = c.env.now;
  p->forgiven = false;
  if (m.round > p->acked_round) {
    p->acked_round = m.round;
    const std::uint64_t age = round_ - m.round;
    if (age < round_sent_.size()) p->acked_sent = round_sent_[round_sent_.size() - 1 - age];
  }
  if (p->flow == Progress::Flow::probe) {
    replicate(c, *p);
  } else if (p->flow == Progress::Flow::replicate && p->nudge) {
    // It lives but acknowledges nothing: its messages or its answers were lost. The answer to an empty
    // message behind all that was sent tells which.
    p->nudge = false;
    if (p->next <= log_.base()) {  // what it wants next was cut: there is no message to ask with
      request_snapshot(c, *p);
    } else {
      send_empty(c, *p);
    }
  }
  confirm_reads(c);
}

// §3.6.2, figure 3.7 (figure 8 of the paper): only entries of the own term are committed by counting
// replicas; earlier ones are committed with them. While joint, majorities of both sets count (§4.3).
void Raft::advance_commit(Context& c) {
  const Index agreed_on = agreed<Index>([&](NodeId id) {
    if (id == settings_.self) return durable_;
    const auto* p = progress(id);
    return p == nullptr ? Index() : p->match;
  });
  if (agreed_on <= commit_ || log_.term(agreed_on) != term_) return;
  for (Index i = commit_.next(); i <= agreed_on; ++i) {
    uncommitted_bytes_ -= std::min(uncommitted_bytes_, cost(log_.at(i)));
  }
  set_commit(c, agreed_on);
  while (!proposals_.empty() && proposals_.front().last <= commit_) proposals_.pop_front();
  tell_commit(c);
  leave_joint(c);
  if (state_ == State::leader && !waiting_reads_.empty()) start_read_round(c);
}

bool Raft::quorum_heard(Instant now) const {
  const Instant heard = agreed<Instant>([&](NodeId id) {
    if (id == settings_.self) return now;
    const auto* p = progress(id);
    return p == nullptr ? Instant::min() : p->heard;
  });
  return heard + settings_.election_timeout >= now;
}

void Raft::arm_tick(Context& c) {
  tick_due_ = c.env.now + settings_.heartbeat;
  c.out.set_timer(heartbeat_timer, tick_due_);
}

// A leader that stood still heard nobody, and its disk may have stood still with it: that time is held
// against neither, once for each silence, or one that is always late would never go. What it may answer under
// its lease rests on when it last sent (acked_sent), and is as void as before.
void Raft::forgive_standing_still(Instant now) {
  const Duration late = now - tick_due_;
  if (late <= settings_.heartbeat) return;
  for (auto& p : peers_) {
    if (!std::exchange(p.forgiven, true)) p.heard = std::min(now, p.heard + late);
  }
  for (auto& write : unsettled_) {
    if (!std::exchange(write.forgiven, true)) write.since = std::min(now, write.since + late);
  }
}

void Raft::tick(Context& c) {
  forgive_standing_still(c.env.now);
  // Check-quorum (§6.2): a leader cut off from its followers must not keep clients waiting, nor the one node
  // that could replace it bound.
  if (!quorum_heard(c.env.now)) return become_follower(c, term_, NodeId());
  if (disk_stalled(c.env.now)) return hand_over(c);
  if (transfer_ && c.env.now >= transfer_->deadline) {  // §3.10: abort after an election timeout
    refuse(c, transfer_->id, Refusal::busy);
    transfer_.reset();
  }
  if (transfer_) continue_transfer(c);
  drop_departed(c.env.now);
  for (auto& p : peers_) {
    p.nudge = !p.advanced && p.match < log_.last();
    p.advanced = false;
    p.paused = p.snapshot_tried = false;
  }
  broadcast_heartbeat(c);
  arm_tick(c);
}

void Raft::broadcast_heartbeat(Context& c) {
  constexpr std::size_t rounds_kept = 1024;
  ++round_;
  round_sent_.push_back(c.env.now);
  if (round_sent_.size() > rounds_kept) round_sent_.pop_front();
  if (!waiting_reads_.empty() && committed_in_term()) {  // §6.4 steps 2 and 3
    confirming_.push_back({round_, commit_, std::exchange(waiting_reads_, {})});
  }
  for (auto& p : peers_) {
    const Index commit = std::min(p.match, commit_);
    p.commit_sent = std::max(p.commit_sent, commit);
    send(c, p.id, Heartbeat{term_, commit, round_});
  }
}

// A leader that must go does not leave the cluster waiting for a time-out: the voter with the longest log is
// asked to campaign at once.
void Raft::hand_over(Context& c) {
  const Progress* best = nullptr;
  for (const auto& p : peers_) {
    if (!membership().votes(p.id) || p.heard + settings_.election_timeout < c.env.now) continue;
    if (best == nullptr || p.match > best->match) best = &p;
  }
  if (best != nullptr) send(c, best->id, TimeoutNow{term_});
  become_follower(c, term_, NodeId());
}

}  // namespace quorate::raft
