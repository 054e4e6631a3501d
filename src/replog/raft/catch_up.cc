// Catching up before an election, for the constrained election of partial connectivity: the only node with
// links to a quorum has an outdated log, so nobody can win by Raft's rules alone. It copies the log of a node
// that refused it a pre-vote for being ahead, then asks again.
//
// Why this is safe. Every log is a prefix of what some leader's log was in the term of its last entry
// (Log Matching, §3.5). The receiver takes entries only if its log becomes strictly more up-to-date in the
// sense of §3.6.1. What was committed counting its copy was committed in a term no later than that of its
// last entry (§3.6.2), so by Leader Completeness (§3.6.3) the new log holds it. What a still later term
// committed without this node may go. Nothing is acknowledged to anyone, so no commitment can come to rest on
// entries of earlier terms, and the election that follows is judged by the ordinary rule. It is as if a late
// AppendEntries of the earlier leader had arrived, before the current term was entered.
//
// But the leader of the current term may have been acknowledged entries that go now, and would tell this node
// to commit up to there (CatchUpRule, WhatWasAcknowledgedInATermIsNotTakenBackWithinIt). So a node that
// gives entries up leaves the term with them: to that leader it is then a node that saw a later one.
#include <algorithm>

#include "replog/raft/raft.h"

namespace quorate::raft {

void Raft::on(Context& c, NodeId from, const CatchUp& m) {
  if (m.last_log_index < log_.base() ||
      log_.base_term() > m.last_log_term) {  // cut away: only a state can help
    if (membership().find(from) != nullptr) c.out.emit(replicated_log::SendSnapshot{from, term_});
    return;
  }
  const Index known = log_.last_not_after(m.last_log_term, m.last_log_index);
  if (known >= log_.last()) return;
  send(c, from,
       CatchUpReply{term_, known, log_.term(known),
                    log_.slice(known.next(), log_.last(), settings_.max_batch_bytes)},
       c.out.last_ticket());
}

void Raft::on(Context& c, NodeId from, CatchUpReply& m) {
  if (m.term > term_) become_follower(c, m.term, NodeId());
  if (!leader_.none() || state_ == State::leader || state_ == State::candidate || restoring_) return;
  AppendEntries as_append{m.term, m.prev_log_index, m.prev_log_term, std::move(m.entries), Index()};
  if (as_append.entries.empty() || !well_formed(as_append)) return;
  if (!log_.matches(as_append.prev_log_index, as_append.prev_log_term)) {
    if (as_append.prev_log_index <= log_.base()) return;
    const Index earlier = log_.last_not_after(as_append.prev_log_term, as_append.prev_log_index.prev());
    return send(c, from, CatchUp{earlier, log_.term(earlier)});
  }
  const Entry& last = as_append.entries.back();
  if (std::pair(last.epoch, last.index) <= std::pair(log_.last_term(), log_.last())) return;
  if (as_append.prev_log_index < commit_) return;  // what it knows of as committed it keeps
  const bool conflict = std::ranges::any_of(as_append.entries, [&](const Entry& entry) {
    return entry.index <= log_.last() && !log_.matches(entry.index, entry.epoch);
  });
  if (conflict) become_follower(c, term_.next(), NodeId());
  if (adopt_entries(c, as_append.entries)) send(c, from, CatchUp{log_.last(), log_.last_term()});
}

}  // namespace quorate::raft
