#include "replog/raft/raft.h"

#include <algorithm>

#include "core/codec.h"

namespace quorate::raft {

namespace {

// A term this far ahead was never reached by elections; adopting it would use up the number space.
constexpr std::uint64_t max_term_jump = std::uint64_t{1} << 32U;
constexpr Epoch max_term{std::uint64_t{1} << 62U};  // so that no sum of two comes near the end of the numbers
constexpr std::size_t max_committed_batch = 1024;

template <class M>
std::optional<Epoch> term_of(const M& message) {
  if constexpr (requires { message.term; }) return message.term;
  return std::nullopt;
}

}  // namespace

const char* to_string(State state) {
  switch (state) {
    case State::follower: return "follower";
    case State::pre_candidate: return "pre-candidate";
    case State::candidate: return "candidate";
    case State::leader: return "leader";
  }
  return "?";
}

Raft::Raft(const replicated_log::Settings& settings, Recovered recovered) : settings_(settings) {
  if (auto it = recovered.records.find(hard_state_key); it != recovered.records.end()) {
    if (auto hard = codec::decode<HardState>(it->second)) {
      term_ = hard->term;
      voted_for_ = hard->voted_for;
      if (term_ >= max_term)
        fault_ = "the recovered term " + to_string(term_) + " is none that elections reach";
    } else {
      fault_ = "the recovered term and vote can not be decoded";
    }
  }
  configs_.push_back({Index(), settings.initial});
  if (auto it = recovered.records.find(initial_key); it != recovered.records.end()) {
    if (auto initial = codec::decode<Membership>(it->second))
      configs_.front().membership = std::move(*initial);
  } else {
    remember_initial_ = !recovered.snapshot;
  }
  if (recovered.snapshot) {
    snapshot_index_ = recovered.snapshot->index;
    configs_.front() = {recovered.snapshot->index, recovered.snapshot->membership};
    log_.reset(recovered.snapshot->index, recovered.snapshot->epoch);
  }
  if (!recovered.log.empty()) {
    const Entry& front = recovered.log.front();
    if (front.index > snapshot_index_.next() || front.index.none()) {
      fault_ = "the recovered log begins behind the recovered snapshot";
      return;
    }
    std::size_t from = 0;
    if (front.index == Index(1)) {
      log_.reset(Index(), Epoch());
    } else if (front.index <=
               snapshot_index_) {  // the term before it is not known: the first becomes the base
      log_.reset(front.index, front.epoch);
      from = 1;
    }
    for (std::size_t i = from; i < recovered.log.size(); ++i) {
      Entry& entry = recovered.log[i];
      if (entry.index != log_.last().next() || entry.epoch < log_.last_term()) {
        fault_ = "the recovered log is not contiguous at index " + to_string(log_.last().next());
        return;
      }
      if (entry.kind == EntryKind::membership && entry.index > snapshot_index_) {
        auto membership = codec::decode<Membership>(entry.payload);
        if (!membership || !valid(*membership)) {
          fault_ = "the recovered membership at index " + to_string(entry.index) + " can not be decoded";
          return;
        }
        configs_.push_back({entry.index, std::move(*membership)});
      }
      log_.append(std::move(entry));
    }
    if (log_.last() < snapshot_index_) log_.reset(snapshot_index_, recovered.snapshot->epoch);
  }
  if (recovered.snapshot && log_.knows(snapshot_index_) &&
      log_.term(snapshot_index_) != recovered.snapshot->epoch) {
    fault_ = "the recovered log contradicts the recovered snapshot";
  }
  term_ = std::max(term_, log_.last_term());
  commit_ = applied_ = snapshot_index_;
  durable_ = log_.last();
  recover_lost(recovered);
}

void Raft::start(Env& env, Out& out) {
  Context c{env, out};
  if (!fault_.empty()) return halt(c, fault_);
  incoming_ = membership().voters();
  if (remember_initial_) {
    hard_ticket_ = c.out.persist({PutRecord{initial_key, codec::encode(configs_.front().membership)}});
  }
  c.out.emit(replicated_log::MembershipChanged{membership(), configs_.back().index,
                                               configs_.back().index <= commit_});
  announce(c);
  if (lost_) c.out.emit(replicated_log::Rejoining{});
  regain(c);
  // §6.4.1: an acknowledged heartbeat promised a leader silence for an election timeout. Memory of it is
  // gone.
  // Nothing was promised by who is its own quorum and was so in its term: it answered no other leader.
  const bool alone = sole_voter() && (term_.none() || voted_for_ == settings_.self);
  if (!term_.none() && !alone) silent_until_ = env.now + settings_.election_timeout;
  // Answers to requests sent before a restart must not match one sent after it.
  read_request_ = env.rng.next() >> 1U;
  if (alone) return campaign(c, Campaign::election);
  arm_election(c, true);
}

void Raft::step(Env& env, In&& input, Out& out) {
  if (!fault_.empty()) return;
  Context c{env, out};
  if (auto* received = std::get_if<Receive<Message>>(&input)) {
    receive(c, received->from, std::move(received->message));
  } else if (auto* timer = std::get_if<TimerFired>(&input)) {
    fired(c, timer->id);
  } else if (auto* durable = std::get_if<Persisted>(&input)) {
    persisted(c, durable->upto);
  } else {
    std::visit([&](auto& request) { ask(c, request); }, std::get<Ask<Request>>(input).request);
  }
  if (fault_.empty()) flush(c);
}

void Raft::receive(Context& c, NodeId from, Message&& message) {
  if (from.none() || from == settings_.self) return;
  std::visit(
      [&](auto& m) {
        if (const auto term = term_of(m); term && !plausible(*term)) return;
        on(c, from, m);
      },
      message);
}

bool Raft::plausible(Epoch term) const {
  return !term.none() && term < max_term && (term <= term_ || term - term_ <= max_term_jump);
}

void Raft::fired(Context& c, TimerId timer) {
  if (timer == election_timer) {
    election_timer_at_.reset();
    election_due(c);
  } else if (timer == heartbeat_timer) {
    if (state_ == State::leader) tick(c);
  } else if (timer == read_timer) {
    read_timer_fired(c);
  }
}

// A node counts its own vote, and its own copy of an entry, only here.
void Raft::persisted(Context& c, Ticket upto) {
  if (upto > c.out.last_ticket()) return;
  settled_ = std::max(settled_, upto);
  while (!unsettled_.empty() && unsettled_.front().ticket <= settled_) {
    durable_ = std::max(durable_, unsettled_.front().last);
    unsettled_.pop_front();
  }
  regain(c);
  if (restoring_ && restoring_->ticket <= settled_) finish_restore(c);
  if (state_ == State::candidate && vote_ticket_ <= settled_ && !votes_.contains(settings_.self)) {
    votes_[settings_.self] = true;
    count_votes(c);
  }
  if (state_ == State::leader) advance_commit(c);
  emit_committed(c);
}

// §3.3: terms act as a logical clock; whoever sees a later one follows.
void Raft::become_follower(Context& c, Epoch term, NodeId leader) {
  const bool led = state_ == State::leader;
  if (term > term_) {
    term_ = term;
    voted_for_ = NodeId();
    stage_hard_state();
  }
  state_ = State::follower;
  votes_.clear();
  set_leader(c, leader);
  if (led) abandon_leadership(c);
}

void Raft::abandon_leadership(Context& c) {
  for (const auto& proposal : proposals_) refuse(c, proposal.id, Refusal::lost_leadership);
  if (change_) refuse(c, *change_, Refusal::lost_leadership);
  fail_reads(c);
  proposals_.clear();
  change_.reset();
  transfer_.reset();
  peers_.clear();
  uncommitted_bytes_ = 0;
  c.out.cancel_timer(heartbeat_timer);
  arm_election(c, true);
}

void Raft::set_leader(Context& c, NodeId leader) {
  if (leader_ != leader && state_ != State::leader && !forwarded_.empty()) {
    leader_ = leader;  // the hint
    fail_reads(c);
  }
  leader_ = leader;
  announce(c);
}

void Raft::announce(Context& c) {
  if (announced_ == std::pair(leader_, term_)) return;
  announced_ = {leader_, term_};
  c.out.emit(replicated_log::LeaderChanged{leader_, term_});
}

void Raft::stage_log(Write write) { staged_.push_back(std::move(write)); }

// Makes what this step changed durable as one atomic write. The returned ticket covers it and all before it:
// replies that rest on the log or the vote wait for it (facts: "leave only after the state they rest on").
Ticket Raft::flush(Context& c) {
  if (!hard_dirty_ && staged_.empty()) return c.out.last_ticket();
  const bool log_written = !staged_.empty();
  const bool hard_written = hard_dirty_;
  if (hard_dirty_) {
    staged_.insert(staged_.begin(), PutRecord{hard_state_key, codec::encode(HardState{term_, voted_for_})});
    hard_dirty_ = false;
  }
  const Ticket ticket = c.out.persist(std::exchange(staged_, {}));
  if (hard_written) hard_ticket_ = ticket;
  if (log_written) unsettled_.push_back({ticket, log_.last(), c.env.now});
  return ticket;
}

void Raft::set_commit(Context& c, Index index) {
  if (index <= commit_) return;
  commit_ = index;
  emit_committed(c);
}

// Entries reach the host once they are committed and durable here: the state never runs ahead of the node's
// own log, which keeps recovery simple and costs nothing while the local disk is no slower than a quorum.
void Raft::emit_committed(Context& c) {
  if (restoring_) return;
  const Index upto = std::min(commit_, durable_);
  while (applied_ < upto) {
    const Index limit = std::min(upto, applied_ + max_committed_batch);
    auto entries = log_.slice(applied_.next(), limit, settings_.max_batch_bytes);
    const Index first = applied_.next();
    applied_ = entries.back().index;
    c.out.emit(replicated_log::Committed{std::move(entries)});
    // Of one that is superseded already the host must not hear again: it would take it for a step back, and
    // hang up on who came since.
    const Config& now = configs_.back();
    if (now.index < first || now.index > applied_) continue;
    c.out.emit(replicated_log::MembershipChanged{now.membership, now.index, true});
  }
}

void Raft::refuse(Context& c, std::uint64_t id, Refusal reason) const {
  c.out.emit(replicated_log::Refused{id, reason, leader_ == settings_.self ? NodeId() : leader_});
}

void Raft::halt(Context& c, std::string reason) {
  fault_ = std::move(reason);
  c.out.emit(replicated_log::Halt{fault_});
}

bool Raft::disk_stalled(Instant now) const {
  return !unsettled_.empty() && now - unsettled_.front().since > 3 * settings_.election_timeout;
}

std::vector<Write> begin_with(const SnapshotMeta& state) { return {SnapshotTaken{state}}; }

std::unique_ptr<replicated_log::Protocol> make_raft(const replicated_log::Settings& settings,
                                                    Recovered recovered) {
  return std::make_unique<Erased<Raft>>(std::in_place, settings, std::move(recovered));
}

}  // namespace quorate::raft
