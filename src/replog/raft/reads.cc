// Linearizable reads: read-index (§6.4), leases (§6.4.1), and reads at followers, which ask the leader for
// the index (§6.4). Nothing here touches the log.
#include <algorithm>

#include "replog/raft/raft.h"

namespace quorate::raft {

namespace {
constexpr std::size_t max_pending_reads = 65'536;  // of this node's host
}

void Raft::ask(Context& c, replicated_log::ReadBarrier& request) {
  if (state_ == State::leader) {
    if (own_reads() >= max_pending_reads) return refuse(c, request.id, Refusal::busy);
    return admit_read(c, {NodeId(), request.id}, request.mode);
  }
  if (leader_.none()) return refuse(c, request.id, Refusal::no_leader);
  if (forwarded_.size() >= max_pending_reads) return refuse(c, request.id, Refusal::busy);
  forwarded_.push_back({request.id, request.mode, 0, c.env.now + 2 * settings_.election_timeout});
  if (!read_outstanding_) forward_reads(c);
}

void Raft::on(Context& c, NodeId from, const ReadIndex& m) {
  if (state_ != State::leader) return send(c, from, ReadIndexReply{m.id, false, Index()});
  admit_read(c, {from, m.id}, m.mode);
}

void Raft::admit_read(Context& c, PendingRead read, replicated_log::ReadMode mode) {
  if (mode == replicated_log::ReadMode::lease && lease_valid(c.env.now)) {
    PendingReads alone;
    alone.add(read);
    return answer_reads(c, alone, commit_);
  }
  waiting_reads_.add(read);
  start_read_round(c);
}

// An answer proves leadership after the latest request came, and so after each that it stands for.
void Raft::PendingReads::add(PendingRead read) {
  if (read.from.none()) return own.push_back(read.id);
  auto& latest = others[read.from];
  latest = std::max(latest, read.id);
}

std::size_t Raft::own_reads() const {
  std::size_t count = waiting_reads_.own.size();
  for (const auto& round : confirming_) count += round.reads.own.size();
  return count;
}

// §6.4: the commit index is noted and a round of heartbeats sent after that; reads that come while a round is
// out share the next one. Before an entry of the own term is committed the commit index may be behind (step
// 1).
void Raft::start_read_round(Context& c) {
  if (!confirming_.empty() || !committed_in_term()) return;
  broadcast_heartbeat(c);
  confirm_reads(c);
}

// Step 3: a majority answered that very round, or a later one, of this term.
void Raft::confirm_reads(Context& c) {
  if (confirming_.empty()) return;
  const auto confirmed = agreed<std::uint64_t>([&](NodeId id) {
    if (id == settings_.self) return round_;
    const auto* p = progress(id);
    return p == nullptr ? 0 : p->acked_round;
  });
  while (!confirming_.empty() && confirming_.front().round <= confirmed) {
    const ReadRound round = std::move(confirming_.front());
    confirming_.pop_front();
    answer_reads(c, round.reads, round.index);
  }
  if (!waiting_reads_.empty()) start_read_round(c);
}

void Raft::answer_reads(Context& c, const PendingReads& reads, Index index) {
  for (const auto& [node, id] : reads.others) send(c, node, ReadIndexReply{id, true, index});
  if (!reads.own.empty()) c.out.emit(replicated_log::ReadReady{reads.own, index});
}

// §6.4.1. A follower that answered a heartbeat refuses votes for an election timeout of its clock, from a
// moment not before the heartbeat was sent. So no other leader can be elected until that long after the send
// time of the latest round a majority answered, less what the clocks may differ in speed.
bool Raft::lease_valid(Instant now) const {
  if (state_ != State::leader || transfer_ || lease_given_up_ || !committed_in_term()) return false;
  const Instant sent = agreed<Instant>([&](NodeId id) {
    if (id == settings_.self) return now;
    const auto* p = progress(id);
    return p == nullptr ? Instant::min() : p->acked_sent;
  });
  constexpr std::int64_t million = 1'000'000;
  return now < sent + settings_.election_timeout * million / (million + settings_.max_clock_drift_ppm);
}

// The leadership, or the leader, that these waited for is gone. Nothing happened: they may be asked again.
void Raft::fail_reads(Context& c) {
  const auto fail = [&](const PendingReads& reads) {
    for (const auto id : reads.own) refuse(c, id, leader_ ? Refusal::not_leader : Refusal::no_leader);
    for (const auto& [node, id] : reads.others) send(c, node, ReadIndexReply{id, false, Index()});
  };
  for (const auto& round : std::exchange(confirming_, {})) fail(round.reads);
  fail(std::exchange(waiting_reads_, {}));
  for (const auto& read : std::exchange(forwarded_, {})) {
    refuse(c, read.id, leader_ ? Refusal::not_leader : Refusal::no_leader);
  }
  read_outstanding_ = false;
}

Duration Raft::read_retry() const { return std::max(settings_.heartbeat, 2 * settings_.round_trip); }

// One request speaks for all reads that wait, those of unanswered earlier requests included.
void Raft::forward_reads(Context& c) {
  auto mode = replicated_log::ReadMode::lease;
  ++read_request_;
  for (auto& read : forwarded_) {
    if (read.first_request == 0) read.first_request = read_request_;
    if (read.mode == replicated_log::ReadMode::quorum) mode = read.mode;
  }
  read_outstanding_ = true;
  send(c, leader_, ReadIndex{read_request_, mode});
  c.out.set_timer(read_timer, c.env.now + read_retry());
}

// The answer to a request is fresh enough for every read that had come when the request was first sent.
void Raft::on(Context& c, NodeId from, const ReadIndexReply& m) {
  if (from != leader_ || m.id == 0 || m.id > read_request_) return;
  std::vector<std::uint64_t> ready;
  std::erase_if(forwarded_, [&](const ForwardedRead& read) {
    if (read.first_request == 0 || read.first_request > m.id) return false;
    ready.push_back(read.id);
    return true;
  });
  if (m.id == read_request_) read_outstanding_ = false;
  if (!m.success) {
    for (const auto id : ready) refuse(c, id, Refusal::no_leader);
  } else if (!ready.empty()) {
    c.out.emit(replicated_log::ReadReady{std::move(ready), m.index});
  }
  if (!read_outstanding_ && !forwarded_.empty()) forward_reads(c);
}

void Raft::read_timer_fired(Context& c) {
  std::erase_if(forwarded_, [&](const ForwardedRead& read) {
    if (c.env.now < read.deadline) return false;
    refuse(c, read.id, Refusal::no_leader);
    return true;
  });
  if (forwarded_.empty()) {
    read_outstanding_ = false;
  } else if (leader_) {
    forward_reads(c);
  }
}

}  // namespace quorate::raft
