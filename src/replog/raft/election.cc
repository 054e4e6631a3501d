// Leader election: §3.4, §3.6.1 (election restriction), §9.6 (pre-vote), §6.4.1 and §4.2.3 (a live leader is
// not disturbed), §3.10 (TimeoutNow).
#include <algorithm>
#include <utility>

#include "quorum/quorum.h"
#include "replog/raft/raft.h"

namespace quorate::raft {

namespace {
constexpr unsigned max_spread = 16;
}

// The timer is moved only when it must fire earlier; when it fires early, election_due() sets it again. So
// hearing from the leader, the common case, costs no effect.
void Raft::arm_election(Context& c, bool redraw) {
  if (redraw || election_timeout_ == Duration{}) {  // §3.4: randomised, [T, 2T) at first, wider after splits
    const Duration least = settings_.election_timeout;
    election_timeout_ = c.env.rng.between(least, least + least * spread_);
  }
  election_deadline_ = c.env.now + election_timeout_;
  if (election_timer_at_ && *election_timer_at_ <= election_deadline_) return;
  election_timer_at_ = election_deadline_;
  c.out.set_timer(election_timer, election_deadline_);
}

void Raft::heard_from_leader(Context& c) {
  leader_heard_ = c.env.now;
  waited_again_ = false;
  failed_campaigns_ = 0;
  // What was drawn while elections clashed is no measure for how long to miss this leader: the one node that
  // reaches a quorum may be the one that drew it.
  const bool wide = std::exchange(spread_, 1U) != 1;
  arm_election(c, wide);
}

void Raft::election_due(Context& c) {
  if (state_ == State::leader) return;
  if (c.env.now < election_deadline_) {
    election_timer_at_ = election_deadline_;
    c.out.set_timer(election_timer, election_deadline_);
    return;
  }
  // Who stood still has not listened. Others may have stood still with it, the leader among them (a machine
  // that was paused): once, silence counts from now on.
  const bool stood_still = c.env.now - election_deadline_ > settings_.heartbeat;
  if (stood_still && state_ == State::follower && !std::exchange(waited_again_, true))
    return arm_election(c, true);
  if (state_ != State::follower) {  // the last campaign came to nothing
    ++failed_campaigns_;
    if (heard_by_quorum()) spread_ = std::min(spread_ * 2, max_spread);
  }
  campaign(c, Campaign::pre_vote);
}

// A campaign that a quorum heard of and that failed clashed with another, or with slow disks: waits that
// differ more make that less likely. One that few heard of says only that the network is cut, and one refused
// for its log that it lacks entries: to wait longer would delay the election once that is mended.
bool Raft::heard_by_quorum() const {
  if (state_ == State::candidate) return true;  // it had won the pre-vote
  const auto answered = [&](NodeId id) { return votes_.contains(id) ? 1 : 0; };
  return quorum::tally(membership(), answered) == quorum::Tally::won;
}

// Learners and nodes outside the configuration they know do not campaign; nor does a node that could not make
// its own vote durable, or that lacks what it once acknowledged.
bool Raft::may_campaign() const { return membership().votes(settings_.self) && !restoring_ && !lost_; }

void Raft::campaign(Context& c, Campaign kind) {
  arm_election(c, true);
  // A vote that is not durable yet was not asked for yet: another term would only add to what the disk must
  // write, and its term to what the others must catch up with.
  const bool vote_on_its_way = kind == Campaign::pre_vote && hard_ticket_ > settled_;
  if (!may_campaign() || vote_on_its_way || disk_stalled(c.env.now)) {
    if (leader_ && kind == Campaign::pre_vote) set_leader(c, NodeId());
    return;
  }
  votes_.clear();
  if (kind == Campaign::pre_vote) {
    state_ = State::pre_candidate;
    set_leader(c, NodeId());
    votes_[settings_.self] = true;
  } else {
    state_ = State::candidate;
    ++term_;
    voted_for_ = settings_.self;
    stage_hard_state();
    set_leader(c, NodeId());
    vote_ticket_ = flush(c);
  }
  const auto ask_for_vote = [&](NodeId id) {
    if (id == settings_.self) return;
    if (kind == Campaign::pre_vote) {
      send(c, id, PreVote{term_.next(), log_.last(), log_.last_term()});
    } else {
      // Held until the vote for itself is durable: a restart in between must not canvass twice in one term
      // with different logs.
      send(c, id, RequestVote{term_, log_.last(), log_.last_term(), kind == Campaign::transfer},
           vote_ticket_);
    }
  };
  for_each_voter(ask_for_vote);
  count_votes(c);
}

void Raft::count_votes(Context& c) {
  const auto result = quorum::tally(membership(), [&](NodeId id) {
    const auto it = votes_.find(id);
    return it == votes_.end() ? 0 : it->second ? 1 : -1;
  });
  if (result == quorum::Tally::won) {
    if (state_ == State::pre_candidate) return campaign(c, Campaign::election);
    return become_leader(c);
  }
  // Lost: the election timer runs on, and its next firing widens the wait.
}

void Raft::become_leader(Context& c) {
  state_ = State::leader;
  votes_.clear();
  failed_campaigns_ = 0;
  spread_ = 1;
  lease_given_up_ = false;
  round_ = 0;
  round_sent_.clear();
  peers_.clear();
  rebuild_peers(c.env.now);
  uncommitted_bytes_ = 0;
  for (Index i = std::max(commit_, log_.base()).next(); i <= log_.last(); ++i)
    uncommitted_bytes_ += cost(log_.at(i));
  set_leader(c, settings_.self);
  // §6.4 step 1 and §3.6.2: a no-op of the own term, since earlier entries are not committed by counting.
  append_own(c, {Entry{term_, log_.last().next(), EntryKind::noop, {}}});
  broadcast_heartbeat(c);
  broadcast_entries(c);
  arm_tick(c);
}

// §4.2.3, §6.4.1: votes are refused while a leader is live, or may be. Time alone decides, not whether this
// node still follows that leader: the answered heartbeat extended its lease, whatever term was heard of
// since. After a restart, promises made before it are taken as made at the moment of the restart.
bool Raft::bound_to_a_leader(Instant now) const {
  return state_ == State::leader || now < silent_until_ || now < leader_heard_ + settings_.election_timeout;
}

void Raft::on(Context& c, NodeId from, const RequestVote& m) {
  if (m.term < term_) return send(c, from, RequestVoteReply{term_, false}, hard_ticket_);
  if (!m.leadership_transfer && bound_to_a_leader(c.env.now)) return;
  if (m.term > term_) become_follower(c, m.term, NodeId());
  // §3.4: at most one vote a term; §3.6.1: only for a log at least as up-to-date as the own.
  const bool free = voted_for_ == from || (voted_for_.none() && leader_.none());
  const bool campaigning = state_ == State::candidate || state_ == State::leader;
  const bool granted = !lost_ && !campaigning && free && log_.not_ahead_of(m.last_log_index, m.last_log_term);
  if (granted) {
    state_ = State::follower;
    if (voted_for_ != from) {
      voted_for_ = from;
      stage_hard_state();
    }
    arm_election(c, true);
  }
  flush(c);
  send(c, from, RequestVoteReply{term_, granted}, hard_ticket_);
}

void Raft::on(Context& c, NodeId from, const RequestVoteReply& m) {
  if (m.term > term_) return become_follower(c, m.term, NodeId());
  if (state_ != State::candidate || m.term != term_) return;
  votes_.try_emplace(from, m.vote_granted);
  count_votes(c);
}

// §9.6: never changes term or vote.
void Raft::on(Context& c, NodeId from, const PreVote& m) {
  if (bound_to_a_leader(c.env.now)) return;
  const bool granted = !lost_ && m.term > term_ && log_.not_ahead_of(m.last_log_index, m.last_log_term);
  send(c, from, PreVoteReply{granted ? m.term : term_, granted, log_.last(), log_.last_term()}, hard_ticket_);
}

void Raft::on(Context& c, NodeId from, const PreVoteReply& m) {
  if (m.vote_granted) {
    if (state_ != State::pre_candidate || m.term != term_.next()) return;
    votes_[from] = true;
    return count_votes(c);
  }
  if (m.term > term_) become_follower(c, m.term, NodeId());
  if (!leader_.none() || state_ == State::candidate || state_ == State::leader) return;
  // A first failure is ordinary: the one ahead is about to lead, and sends what lacks. Then, help yourself.
  const bool ahead = std::pair(m.last_log_term, m.last_log_index) > std::pair(log_.last_term(), log_.last());
  if (state_ == State::pre_candidate && !ahead) votes_.try_emplace(from, false);
  if (ahead && failed_campaigns_ > 0) send(c, from, CatchUp{log_.last(), log_.last_term()});
}

// §3.10: from the leader of this term only; an old one is void.
void Raft::on(Context& c, NodeId from, const TimeoutNow& m) {
  if (m.term != term_ || from != leader_ || state_ != State::follower) return;
  if (!membership().votes(settings_.self)) return;
  campaign(c, Campaign::transfer);
}

}  // namespace quorate::raft
