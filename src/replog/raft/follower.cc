// The follower's side of replication (§3.5): the consistency check, truncation on a real conflict only, and
// replies that wait for the disk.
#include <algorithm>

#include "core/codec.h"
#include "replog/raft/raft.h"

namespace quorate::raft {

// Whether a message of `from` as leader of `term` is to be followed. One of an earlier term is told the
// current.
bool Raft::accept_leader(Context& c, NodeId from, Epoch term) {
  if (term < term_) {
    send(c, from, AppendEntriesReply{term_, false, Index(), Epoch(), Index()}, hard_ticket_);
    return false;
  }
  // Two leaders of one term can not be (§3.6.3); a second claimant is not what it says.
  if (term == term_ && (state_ == State::leader || (leader_ && leader_ != from))) return false;
  if (term > term_ || state_ != State::follower || leader_ != from) become_follower(c, term, from);
  heard_from_leader(c);
  return true;
}

bool Raft::well_formed(const AppendEntries& m) {
  constexpr std::uint64_t max_index = std::uint64_t{1} << 62U;
  if (m.prev_log_index.value > max_index) return false;
  Index index = m.prev_log_index;
  Epoch term = m.prev_log_term;
  if (term > m.term || index.none() != term.none()) return false;
  for (const auto& entry : m.entries) {
    if (entry.index != index.next() || entry.epoch < term || entry.epoch > m.term || entry.epoch.none())
      return false;
    if (!known(entry.kind)) return false;  // recovery would refuse the log that holds it
    index = entry.index;
    term = entry.epoch;
  }
  return true;
}

void Raft::on(Context& c, NodeId from, AppendEntries& m) {
  if (!well_formed(m) || !accept_leader(c, from, m.term)) return;
  const Index end = m.prev_log_index + m.entries.size();
  if (m.prev_log_index < commit_) {
    // What is committed here is in the leader's log (Leader Completeness): only the part behind it is news.
    auto news = m.entries.begin();
    for (; news != m.entries.end() && news->index <= commit_; ++news) {
      if (log_.knows(news->index) && log_.term(news->index) != news->epoch)
        return contradicted(c, news->index);
    }
    if (news == m.entries.end()) {
      return send(c, from, AppendEntriesReply{term_, true, commit_, Epoch(), Index()}, flush(c));
    }
    m.entries.erase(m.entries.begin(), news);
  } else if (!log_.matches(m.prev_log_index, m.prev_log_term)) {
    return reject(c, from, m.prev_log_index);
  }
  if (!adopt_entries(c, m.entries)) return;
  // The index acknowledged is what this message proved to match, never the end of the log.
  const Ticket durable = flush(c);
  send(c, from, AppendEntriesReply{term_, true, end, Epoch(), Index()}, durable);
  set_commit(c, std::min(m.leader_commit, end));
}

// No correct cluster comes here. Going on would let replicas diverge without a word.
void Raft::contradicted(Context& c, Index index) {
  halt(c, "the log of a leader contradicts the committed entry " + to_string(index) + "; term " +
              to_string(term_));
}

// Appends what is missing; truncates only where an entry conflicts. The entries follow a matching one.
bool Raft::adopt_entries(Context& c, std::vector<Entry>& entries) {
  auto it = entries.begin();
  while (it != entries.end() && log_.matches(it->index, it->epoch)) ++it;
  if (it == entries.end()) return true;
  std::vector<Config> configs;
  for (auto e = it; e != entries.end(); ++e) {
    if (e->kind != EntryKind::membership) continue;
    auto membership = codec::decode<Membership>(e->payload);
    if (!membership || !valid(*membership)) return false;
    configs.push_back({e->index, std::move(*membership)});
  }
  if (it->index <= log_.last()) {
    if (it->index <= commit_) {
      contradicted(c, it->index);
      return false;
    }
    log_.truncate_from(it->index);
    stage_log(TruncateFrom{it->index});
    durable_ = std::min(durable_, it->index.prev());
    for (auto& write : unsettled_) write.last = std::min(write.last, it->index.prev());
    roll_back_configs(c, it->index);
  }
  entries.erase(entries.begin(), it);
  for (const auto& entry : entries) log_.append(entry);
  stage_log(quorate::AppendEntries{std::move(entries)});
  for (auto& config : configs) take_effect(c, std::move(config));
  return true;
}

void Raft::reject(Context& c, NodeId to, Index prev) {
  AppendEntriesReply reply{term_, false, prev, Epoch(), log_.last().next()};
  if (log_.knows(prev)) {
    reply.conflict_term = log_.term(prev);
    reply.conflict_index = log_.first_of_term_at(prev);
  }
  flush(c);
  send(c, to, reply, hard_ticket_);
}

void Raft::on(Context& c, NodeId from, const Heartbeat& m) {
  if (!accept_leader(c, from, m.term)) return;
  if (m.commit <= log_.last()) set_commit(c, m.commit);  // the leader never tells more than was acknowledged
  flush(c);
  // Rests on the term alone: it must not wait for the log, or a slow disk would look like a lost node.
  send(c, from, HeartbeatReply{term_, m.round}, hard_ticket_);
}

void Raft::on(Context& c, NodeId from, const CommitIndex& m) {
  if (accept_leader(c, from, m.term) && m.commit <= log_.last()) set_commit(c, m.commit);
}

}  // namespace quorate::raft
