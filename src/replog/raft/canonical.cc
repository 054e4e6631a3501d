// What a node's future depends on, for a driver that lets time pass wherever that makes a difference: a timer
// that fires fires when its deadline has come, and who is asked for a vote finds its promise to a leader
// lapsed (src/explore). So of a node that does not lead no instants are written, and nothing of leases,
// unless time is the driver's own (Canonical::timed).
#include "core/canonical.h"

#include <algorithm>
#include <map>

#include "replog/raft/raft.h"

namespace quorate::raft {

namespace {

void write_log(Canonical& to, const Log& log) {
  to.add(log.base());
  to.add(log.base_term());
  to.number(log.size());
  for (Index i = log.base().next(); i <= log.last(); ++i) to.encoded(log.at(i));
}

void write_progress(Canonical& to, const Progress& p, Duration timeout) {
  to.add(p.match);
  to.add(p.next);
  to.number(static_cast<std::uint64_t>(p.flow));
  to.number((p.paused ? 1U : 0U) + (p.snapshot_tried ? 2U : 0U) + (p.advanced ? 4U : 0U) +
            (p.nudge ? 8U : 0U) + (p.leaving ? 16U : 0U) + (p.heard + timeout >= to.now() ? 32U : 0U) +
            (p.forgiven ? 64U : 0U));
  to.until(p.heard + timeout);
  to.number(p.inflight.count());
  for (std::size_t i = 0; i < p.inflight.count(); ++i) to.add(p.inflight.at(i));
  to.add(p.commit_sent);
}

}  // namespace

void Raft::canonical(Canonical& to) const {
  const Duration timeout = settings_.election_timeout;
  to.node(settings_.self);
  to.bytes(fault_);
  to.add(term_);
  to.node(voted_for_);
  write_log(to, log_);
  to.add(snapshot_index_);
  to.add(lost_.value_or(Epoch()));
  to.number(configs_.size());
  for (const auto& config : configs_) {
    to.add(config.index);
    to.encoded(config.membership);
  }
  to.ticket(hard_ticket_, settled_);
  to.number(unsettled_.size());
  for (const auto& write : unsettled_) {
    to.ticket(write.ticket, settled_);
    to.add(write.last);
    to.until(write.since + 3 * timeout);  // disk_stalled()
    to.number(disk_stalled(to.now()) ? 1 : 0);
  }
  to.add(durable_);
  to.number((restoring_ ? 1U : 0U) + (transfer_ ? 2U : 0U) + (change_ ? 4U : 0U) +
            (lease_given_up_ ? 8U : 0U) + (election_timer_at_ ? 16U : 0U) +
            (failed_campaigns_ > 0 ? 32U : 0U) + (read_outstanding_ ? 64U : 0U));
  to.number(static_cast<std::uint64_t>(state_));
  to.node(leader_);
  to.node(announced_.first);
  to.add(announced_.second);
  to.add(commit_);
  to.add(applied_);
  to.ticket(vote_ticket_, settled_);
  if (transfer_) {
    to.node(transfer_->to);
    to.until(transfer_->deadline);
  }

  std::map<std::uint64_t, bool> votes;
  for (const auto& [node, vote] : votes_) votes[to.renamed(node)] = vote;
  if (state_ == State::pre_candidate || state_ == State::candidate) to.encoded(votes);
  std::map<std::uint64_t, const Progress*> peers;
  for (const auto& peer : peers_) peers[to.renamed(peer.id)] = &peer;
  to.number(peers.size());
  for (const auto& [node, peer] : peers) {
    to.number(node);
    write_progress(to, *peer, timeout);
  }
  to.number(proposals_.size());
  for (const auto& proposal : proposals_) to.add(proposal.last);
  to.number(uncommitted_bytes_);
  to.number(round_);
  write_reads(to);
  if (to.timed()) write_time(to);
}

void Raft::write_time(Canonical& to) const {
  const Duration timeout = settings_.election_timeout;
  to.until(leader_heard_ + timeout);
  to.until(silent_until_);
  to.until(election_deadline_);
  to.number(spread_ * 2 + (waited_again_ ? 1 : 0));
  if (state_ != State::leader) return;
  to.until(tick_due_);
  for (const Instant sent : round_sent_) to.until(sent + timeout);
  std::map<std::uint64_t, const Progress*> peers;
  for (const auto& peer : peers_) peers[to.renamed(peer.id)] = &peer;
  for (const auto& [node, peer] : peers) {
    to.number(peer->acked_round);
    to.until(peer->acked_sent + timeout);
  }
}

void Raft::write_reads(Canonical& to) const {
  const auto write = [&](const PendingReads& reads) {
    to.encoded(reads.own);
    std::map<std::uint64_t, std::uint64_t> others;
    for (const auto& [node, id] : reads.others) others[to.renamed(node)] = id;
    to.encoded(others);
  };
  write(waiting_reads_);
  to.number(confirming_.size());
  for (const auto& round : confirming_) {
    to.number(round.round);
    to.add(round.index);
    write(round.reads);
  }
  to.number(forwarded_.size());
  for (const auto& read : forwarded_) {
    to.number(read.id);
    to.number(read.first_request == 0 ? 0 : read_request_ - read.first_request + 1);
    to.until(read.deadline);
  }
  // Only where reads are asked do rounds differ in what an answer to them can confirm.
  if (!confirming_.empty()) {
    std::map<std::uint64_t, std::uint64_t> acked;
    for (const auto& peer : peers_) acked[to.renamed(peer.id)] = peer.acked_round;
    to.encoded(acked);
  }
  to.number(read_request_);
}

}  // namespace quorate::raft
