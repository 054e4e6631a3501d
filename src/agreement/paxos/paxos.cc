#include "agreement/paxos/paxos.h"

#include <algorithm>

#include "core/codec.h"
#include "quorum/quorum.h"

namespace quorate::paxos {
namespace {

constexpr TimerId retry_timer{1};
constexpr TimerId patience_timer{2};
constexpr const char* round_key = "round";

// No proposer counts this far: a greater round is damage or malice, and would exhaust the numbers.
constexpr std::uint64_t max_round = std::uint64_t{1} << 56U;
constexpr std::uint32_t max_doublings = 6;

bool plausible(const Ballot& n) { return !n.none() && n.round <= max_round && !n.node.none(); }

}  // namespace

Paxos::Paxos(agreement::Settings settings, Options options, const Recovered& recovered)
    : settings_(std::move(settings)),
      options_(options),
      acceptor_(recovered.records),
      damage_(acceptor_.damage()) {
  std::ranges::sort(settings_.members);
  if (const auto it = recovered.records.find(round_key); it != recovered.records.end()) {
    if (const auto round = codec::decode<std::uint64_t>(it->second)) {
      round_ = *round;
    } else {
      damage_ = "the record of the round cannot be read";
    }
  }
  if (acceptor_.accepted() && member(settings_.self)) reported_[settings_.self] = *acceptor_.accepted();
}

void Paxos::start(Env& env, Out& out) {
  if (damage_) return;
  // Something was under way when this node stopped; if nobody tells how it ended, it asks.
  if (acceptor_.accepted()) {
    patience_set_ = true;
    out.set_timer(patience_timer,
                  env.now + env.rng.between(settings_.round_trip * 10, settings_.round_trip * 20));
  }
  hear_self(env, out);
}

void Paxos::step(Env& env, const In& input, Out& out) {
  if (damage_) return;
  if (const auto* received = std::get_if<Receive<Message>>(&input)) {
    if (received->from != settings_.self && !received->from.none())
      dispatch(env, received->from, received->message, out);
  } else if (const auto* fired = std::get_if<TimerFired>(&input)) {
    if (!decided_) {
      if (fired->id == retry_timer && timer_set_) {
        timer_set_ = false;
        retry(env, out);
      } else if (fired->id == patience_timer && patience_set_) {
        patience_set_ = false;
        learn(env, out);
      }
    }
  } else if (const auto* persisted = std::get_if<Persisted>(&input)) {
    durable_ = std::max(durable_, persisted->upto);
  } else {
    const auto& request = std::get<Ask<Request>>(input).request;
    if (const auto* wanted = std::get_if<agreement::Propose>(&request)) {
      propose(env, wanted->value, out);
    } else {
      learn(env, out);
    }
  }
  hear_self(env, out);
}

void Paxos::dispatch(Env& env, NodeId from, const Message& message, Out& out) {
  std::visit([&](const auto& m) { on(env, from, m, out); }, message);
}

// What a node tells itself counts no earlier than what it tells others: when it is durable.
void Paxos::hear_self(Env& env, Out& out) {
  while (!to_self_.empty() && to_self_.front().first <= durable_) {
    const Message message = std::move(to_self_.front().second);
    to_self_.pop_front();
    dispatch(env, settings_.self, message, out);
  }
}

// ---------------------------------------------------------------------------------------------- proposer

void Paxos::propose(Env& env, const Bytes& value, Out& out) {
  if (decided_ || wanted_) return;
  wanted_ = value;
  if (options_.back_off == BackOff::distinguished && settings_.self != distinguished()) {
    // §2.4: one proposer alone tries. This node takes over only when that one does not finish; its rank keeps
    // the others from taking over at the same time.
    send(distinguished(), Relay{value}, out);
    const auto rank =
        std::ranges::lower_bound(settings_.members, settings_.self) - settings_.members.begin() + 1;
    return schedule(env, settings_.round_trip * 20 * rank, out);
  }
  if (phase_ == Phase::idle) begin(env, out);
}

// Phase 1a. "Each proposer remembers (in stable storage) the highest-numbered proposal it has tried to begin
// phase 1" (§2.5): a ballot that went out and was forgotten could come back with another value.
void Paxos::begin(Env& env, Out& out) {
  const std::uint64_t above = std::max({round_, acceptor_.promised().round, highest_seen_.round});
  if (above >= max_round) return;
  round_ = above + 1;
  n_ = Ballot{round_, settings_.self};
  phase_ = Phase::preparing;
  preempted_ = false;
  resends_ = 0;
  promises_.clear();
  std::vector<Write> writes{PutRecord{round_key, codec::encode(round_)}};
  if (member(settings_.self)) {
    // Its own acceptor promises in the same write. n_ is above every promise of this node: never refused.
    round_ticket_ = acceptor_.prepare(n_, out, std::move(writes)).value();
    send(settings_.self, Promise{n_, acceptor_.accepted()}, out, round_ticket_);
  } else {
    round_ticket_ = out.persist(std::move(writes));
  }
  to_others(Prepare{n_}, out, round_ticket_);
  schedule(env, resend_after(env), out);
}

// Phase 2a: the value of the highest-numbered proposal among the answers, or any if there is none (P2c).
void Paxos::on(Env& env, NodeId from, const Promise& m, Out& out) {
  if (decided_ || phase_ != Phase::preparing || m.n != n_ || !member(from)) return;
  if (m.accepted && (m.accepted->n >= n_ || !plausible(m.accepted->n))) return;
  promises_[from] = m.accepted;
  if (promises_.size() < quorum::majority(settings_.members.size())) return;

  const Proposal* highest = nullptr;
  for (const auto& [acceptor, accepted] : promises_) {
    if (accepted && (!highest || accepted->n > highest->n)) highest = &*accepted;
  }
  if (!highest && !wanted_) {  // it came to learn, and nothing was chosen up to n_
    phase_ = Phase::idle;
    return schedule(env, resend_after(env), out);
  }
  value_ = highest ? highest->value : *wanted_;
  phase_ = Phase::accepting;
  resends_ = 0;
  to_others(Accept{n_, value_}, out);
  if (member(settings_.self)) send(settings_.self, Accept{n_, value_}, out);
  schedule(env, resend_after(env), out);
}

void Paxos::on(Env& env, NodeId from, const Nack& m, Out& out) {
  if (decided_ || phase_ == Phase::idle || preempted_ || m.n != n_ || !member(from)) return;
  if (!plausible(m.promised) || m.promised <= n_) return;
  highest_seen_ = std::max(highest_seen_, m.promised);
  preempted_ = true;  // answers to n_ still count: a majority may have accepted it all the same
  ++attempts_;
  switch (options_.back_off) {
    case BackOff::none: return begin(env, out);
    case BackOff::randomised: {
      const auto longest = settings_.round_trip * (1U << std::min(attempts_, max_doublings));
      return schedule(env, env.rng.between(settings_.round_trip / 2, longest), out);
    }
    case BackOff::distinguished: {
      if (settings_.self == distinguished()) return begin(env, out);
      const auto rank =
          std::ranges::lower_bound(settings_.members, settings_.self) - settings_.members.begin() + 1;
      return schedule(env, settings_.round_trip * 20 * rank, out);
    }
  }
}

void Paxos::on(Env& env, NodeId from, const Relay& m, Out& out) {
  if (decided_) return send(from, Decided{*decided_}, out);
  propose(env, m.value, out);
}

void Paxos::retry(Env& env, Out& out) {
  if (phase_ == Phase::idle) {
    if (wanted_) return begin(env, out);
    if (learning_) poll(env, out);
    return;
  }
  if (preempted_) return begin(env, out);
  resend(out);
  ++resends_;
  schedule(env, resend_after(env), out);
}

// The same ballot again, to those who have not answered: loss alone is no reason for a higher one.
void Paxos::resend(Out& out) {
  for (const NodeId to : settings_.members) {
    if (to == settings_.self) continue;
    if (phase_ == Phase::preparing && !promises_.contains(to)) send(to, Prepare{n_}, out, round_ticket_);
    if (phase_ == Phase::accepting) {
      const auto it = reported_.find(to);
      if (it == reported_.end() || it->second.n < n_) send(to, Accept{n_, value_}, out);
    }
  }
}

// ---------------------------------------------------------------------------------------------- acceptor

void Paxos::on(Env&, NodeId from, const Prepare& m, Out& out) {
  if (!plausible(m.n) || m.n.node != from) return;
  if (decided_) return send(from, Decided{*decided_}, out);
  if (!member(settings_.self)) return;
  if (const auto promise = acceptor_.prepare(m.n, out)) {
    send(from, Promise{m.n, acceptor_.accepted()}, out, *promise);
  } else {
    send(from, Nack{m.n, promise.error()}, out);
  }
}

void Paxos::on(Env& env, NodeId from, const Accept& m, Out& out) {
  if (!plausible(m.n) || m.n.node != from) return;
  if (decided_) return send(from, Decided{*decided_}, out);
  if (!member(settings_.self)) return;
  const auto accepted = acceptor_.accept(Proposal{m.n, m.value}, out);
  if (!accepted) return send(from, Nack{m.n, accepted.error()}, out);
  send(from, Accepted{m.n, std::nullopt}, out, *accepted);
  if (from != settings_.self && !patience_set_ && phase_ == Phase::idle) {
    // The proposer may stop before it tells; then someone has to find out (§2.3).
    patience_set_ = true;
    out.set_timer(patience_timer,
                  env.now + env.rng.between(settings_.round_trip * 20, settings_.round_trip * 60));
  }
}

void Paxos::on(Env&, NodeId from, const Learn&, Out& out) {
  if (decided_) return send(from, Decided{*decided_}, out);
  if (!member(settings_.self) || !acceptor_.accepted()) return;
  const auto& accepted = *acceptor_.accepted();
  send(from, Accepted{accepted.n, accepted.value}, out, acceptor_.accepted_ticket());
}

// ----------------------------------------------------------------------------------------------- learner

void Paxos::learn(Env& env, Out& out) {
  if (decided_ || learning_) return;
  learning_ = true;
  if (phase_ == Phase::idle && !timer_set_) poll(env, out);
}

// Asks the acceptors; where their answers do not settle it but something was accepted, a proposal does: "it
// can have a proposer issue a proposal" (§2.3).
void Paxos::poll(Env& env, Out& out) {
  if (acceptor_.accepted() && acceptor_.accepted_ticket() <= durable_ && member(settings_.self)) {
    report(settings_.self, *acceptor_.accepted(), false, out);
    if (decided_) return;
  }
  if (++polls_ > 2 && !reported_.empty()) return begin(env, out);
  to_others(Learn{}, out);
  ++resends_;
  schedule(env, resend_after(env), out);
}

void Paxos::on(Env&, NodeId from, const Accepted& m, Out& out) {
  if (decided_ || !member(from) || !plausible(m.n)) return;
  const bool mine = phase_ == Phase::accepting && m.n == n_;
  if (mine) return report(from, Proposal{n_, value_}, true, out);
  if (m.value) report(from, Proposal{m.n, *m.value}, false, out);
}

// Chosen: accepted by a majority under one and the same ballot. Equal values under different ballots are not
// enough: a higher ballot may be about to choose another.
void Paxos::report(NodeId acceptor, const Proposal& proposal, bool tell, Out& out) {
  highest_seen_ = std::max(highest_seen_, proposal.n);
  auto& last = reported_[acceptor];
  if (last.n > proposal.n) return;
  last = proposal;
  const auto same = std::ranges::count_if(reported_, [&](const auto& r) { return r.second.n == proposal.n; });
  if (static_cast<std::size_t>(same) >= quorum::majority(settings_.members.size()))
    decide(proposal.value, tell, out);
}

void Paxos::on(Env&, NodeId from, const Decided& m, Out& out) {
  if (!member(from)) return;
  decide(m.value, false, out);
}

void Paxos::decide(const Bytes& value, bool tell, Out& out) {
  if (decided_) return;
  decided_ = value;
  phase_ = Phase::idle;
  promises_.clear();
  reported_.clear();
  if (std::exchange(timer_set_, false)) out.cancel_timer(retry_timer);
  if (std::exchange(patience_set_, false)) out.cancel_timer(patience_timer);
  out.emit(agreement::Decided{value});
  if (tell) to_others(Decided{value}, out);
}

// ----------------------------------------------------------------------------------------------- helpers

void Paxos::send(NodeId to, Message message, Out& out, Ticket after) {
  if (to == settings_.self) {
    to_self_.emplace_back(after, std::move(message));
  } else {
    out.send(to, std::move(message), after);
  }
}

void Paxos::to_others(const Message& message, Out& out, Ticket after) {
  for (const NodeId to : settings_.members) {
    if (to != settings_.self) out.send(to, message, after);
  }
}

void Paxos::schedule(Env& env, Duration delay, Out& out) {
  timer_set_ = true;
  out.set_timer(retry_timer, env.now + delay);
}

Duration Paxos::resend_after(Env& env) {
  const auto base = settings_.round_trip * (4U << std::min(resends_, max_doublings - 2));
  return base + env.rng.between(Duration::zero(), base / 4);
}

bool Paxos::member(NodeId node) const { return std::ranges::binary_search(settings_.members, node); }

NodeId Paxos::distinguished() const {
  if (!options_.distinguished.none() || settings_.members.empty()) return options_.distinguished;
  return settings_.members.front();
}

std::optional<std::string> Paxos::check_invariants() const {
  if (damage_) return damage_;
  if (auto broken = acceptor_.check_invariants()) return broken;
  if (phase_ != Phase::idle && n_.node != settings_.self) return "an attempt under another node's ballot";
  if (n_.round > round_)
    return "ballot " + to_string(n_) + " above the remembered round " + std::to_string(round_);
  if (decided_ && (timer_set_ || phase_ != Phase::idle)) return "still proposing behind the decision";
  for (const auto& [acceptor, accepted] : promises_) {
    if (accepted && accepted->n >= n_) return "a promise reports a proposal that is not below its ballot";
  }
  return std::nullopt;
}

std::string Paxos::describe() const {
  constexpr const char* phases[] = {"idle", "preparing", "accepting"};
  std::string text = "promised=" + to_string(acceptor_.promised());
  if (acceptor_.accepted()) text += " accepted=" + to_string(acceptor_.accepted()->n);
  text += std::string(" ") + phases[static_cast<int>(phase_)];
  if (phase_ != Phase::idle) text += " n=" + to_string(n_);
  if (decided_) text += " decided(" + std::to_string(decided_->size()) + " bytes)";
  return text;
}

std::unique_ptr<agreement::Protocol> make_paxos(const agreement::Settings& settings, Recovered recovered,
                                                Options options) {
  return std::make_unique<Erased<Paxos>>(std::in_place, settings, options, recovered);
}

}  // namespace quorate::paxos
