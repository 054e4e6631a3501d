// What must hold of one node after every step. Properties between nodes (election safety, log matching,
// leader completeness, state-machine safety) are the checks' business; see raft_random_test.cc.
#include "replog/raft/raft.h"

namespace quorate::raft {

std::optional<std::string> Raft::check_invariants() const {
  if (!fault_.empty()) return std::nullopt;  // it stopped, and said why
  const auto broken = [this](const std::string& what) { return what + ": " + describe(); };
  const Index last = log_.last();
  const Index base = log_.base();
  if (commit_ > last) return broken("commit index behind the end of the log");
  if (!restoring_ && applied_ > commit_) return broken("applied what is not committed");
  if (!restoring_ && applied_ > durable_) return broken("applied what is not durable here");
  if (!restoring_ && commit_ < base) return broken("cut what is not committed");
  if (!restoring_ && applied_ < snapshot_index_) return broken("snapshot ahead of the applied state");
  if (durable_ > last) return broken("durable behind the end of the log");
  if (base > snapshot_index_) return broken("log cut beyond the snapshot");
  if (last < snapshot_index_) return broken("log ends in front of the snapshot");
  const Epoch last_term = log_.last_term();
  if (last_term > term_) return broken("an entry of a term not reached");
  if (last != base) {  // spot checks; Log keeps the rest by construction
    const Entry& first = log_.at(base.next());
    if (log_.at(last).index != last) return broken("log index out of place");
    if (first.index != base.next()) return broken("log not contiguous with its base");
    if (first.epoch < log_.base_term()) return broken("terms go backward in the log");
  }
  if (!staged_.empty() || hard_dirty_) return broken("a change was not made durable at the end of its step");
  if (configs_.empty() || configs_.back().index > last) return broken("configuration without its entry");
  if (configs_.front().index > std::max(commit_, snapshot_index_))
    return broken("no committed configuration");
  if (!quorum::are_voters(incoming_, membership()))
    return broken("voters differ from the configuration in force");
  if (lost_ && (voted_for_ || state_ != State::follower)) return broken("a vote for a log that lost entries");
  if (state_ == State::leader) {
    if (leader_ != settings_.self) return broken("a leader that does not follow itself");
    if (voted_for_ != settings_.self) return broken("a leader that did not vote for itself");
    if (last_term != term_) return broken("a leader without an entry of its term");
    if (!forwarded_.empty()) return broken("a leader's reads wait for another leader");
    for (const auto& p : peers_) {
      if (p.match > last || p.next <= p.match || p.next > last.next()) {
        return broken("progress of node " + to_string(p.id) + " out of bounds");
      }
    }
  } else {
    if (leader_ == settings_.self) return broken("follows itself without being leader");
    if (leader_.none() && !forwarded_.empty()) return broken("reads wait for a leader that is none");
    if (!peers_.empty() || !proposals_.empty() || !confirming_.empty() || !waiting_reads_.empty()) {
      return broken("leader's state without leadership");
    }
  }
  if ((state_ == State::candidate) && voted_for_ != settings_.self) {
    return broken("a candidate that voted for another");
  }
  return std::nullopt;
}

std::string Raft::describe() const {
  std::string out = "raft n" + to_string(settings_.self) + " " + to_string(state_);
  out += " term=" + to_string(term_) + " vote=" + to_string(voted_for_) + " leader=" + to_string(leader_);
  out += " log=(" + to_string(log_.base()) + "," + to_string(log_.last()) +
         "] last_term=" + to_string(log_.last_term());
  out +=
      " durable=" + to_string(durable_) + " commit=" + to_string(commit_) + " applied=" + to_string(applied_);
  if (snapshot_index_) out += " snapshot=" + to_string(snapshot_index_);
  out += " voters=";
  for (const NodeId id : incoming_) out += to_string(id) + ",";
  out.pop_back();
  if (membership().joint()) {
    out += " outgoing=";
    for (const NodeId id : membership().outgoing) out += to_string(id) + ",";
    out.pop_back();
  }
  if (restoring_) out += " restoring";
  if (lost_) out += " lost=" + to_string(*lost_);
  if (transfer_) out += " transfer=" + to_string(transfer_->to);
  if (!fault_.empty()) out += " halted: " + fault_;
  return out;
}

}  // namespace quorate::raft
