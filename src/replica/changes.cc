// Membership changes and leadership transfers asked of a replica: done here if it leads, else by the leader.
#include "replica/replica.h"

namespace quorate::replica {

namespace rl = replicated_log;

void Replica::reconfigure(Env& env, std::vector<Member> members, Done done, std::vector<Member> base) {
  std::ranges::sort(members, {}, &Member::id);
  std::ranges::sort(base, {}, &Member::id);
  Change change;
  change.members = std::move(members);
  change.base = std::move(base);
  begin_change(env, std::move(change), std::move(done));
}

void Replica::transfer(Env& env, NodeId to, Done done) {
  Change change;
  change.to = to;
  begin_change(env, std::move(change), std::move(done));
}

void Replica::begin_change(Env& env, Change change, Done done) {
  if (halted_) return done(std::unexpected(Failure::stopping));
  if (changes_.size() >= 64) return done(std::unexpected(Failure::overloaded));
  change.done = std::move(done);
  change.deadline = env.now + config_.request_timeout;
  changes_.emplace(next_id_++, std::move(change));
  arm_tick(env);
}

void Replica::pump_changes(Env& env) {
  if (changes_.empty()) return;
  finish_changes_in_force();
  if (leader_.none()) return;
  std::vector<std::uint64_t> unasked;
  for (const auto& [id, change] : changes_) {
    if (!change.asked) unasked.push_back(id);
  }
  for (const std::uint64_t id : unasked) ask_change(env, id);
}

void Replica::ask_change(Env& env, std::uint64_t id) {
  auto it = changes_.find(id);
  if (it == changes_.end()) return;
  Change& change = it->second;
  change.in_doubt = change.in_doubt || change.unanswered || change.accepted;
  change.unanswered = !leads();
  change.asked = true;
  change.taken = false;
  change.asked_at = env.now;
  if (leads()) {
    const auto refused = change.members ? ask_reconfigure(env, {id, *change.members, change.base})
                                        : ask_protocol(env, rl::TransferLeadership{id, change.to}, id);
    change_answered(id, refused ? std::optional(refused->reason) : std::nullopt);
  } else if (change.members) {
    send(leader_, ForwardReconfigure{id, *change.members, config_.incarnation, change.base});
  } else {
    send(leader_, ForwardTransfer{id, change.to, config_.incarnation});
  }
}

// A change that was done and undone may be asked for once more by who saw neither. Whom the log has removed
// is known for sure once the configuration in force is applied.
std::optional<rl::Refused> Replica::ask_reconfigure(Env& env, rl::Reconfigure change) {
  const auto adds_removed = [&](const Member& member) {
    return std::ranges::find(change.base, member.id, &Member::id) == change.base.end() &&
           state_.removed(member.id);
  };
  const std::uint64_t id = change.id;
  if (!change.base.empty()) {
    if (state_.applied().index < membership_index_) return rl::Refused{id, rl::Refusal::busy, leader_};
    if (std::ranges::any_of(change.members, adds_removed))
      return rl::Refused{id, rl::Refusal::superseded, leader_};
  }
  return ask_protocol(env, std::move(change), id);
}

void Replica::change_answered(std::uint64_t id, std::optional<rl::Refusal> refusal) {
  auto it = changes_.find(id);
  if (it == changes_.end()) return;
  Change& change = it->second;
  change.unanswered = false;
  if (!refusal) {
    change.accepted = change.taken = true;
    return;
  }
  const auto failure = final_failure(change, *refusal);
  if (!failure) return;  // asked again by the next tick
  auto ended = changes_.extract(it);
  ended.mapped().done(std::unexpected(*failure));
}

// How a refused change ends, if it does.
std::optional<Failure> Replica::final_failure(const Change& change, rl::Refusal refusal) {
  // What is under way may be this very change, begun by an earlier request.
  const bool first = !change.accepted && !change.in_doubt;
  switch (refusal) {
    case rl::Refusal::invalid: return Failure::invalid;
    case rl::Refusal::not_ready: return first ? std::optional(Failure::not_ready) : std::nullopt;
    case rl::Refusal::change_pending: return first ? std::optional(Failure::change_pending) : std::nullopt;
    case rl::Refusal::superseded:
      return change.in_doubt ? std::nullopt : std::optional(Failure::change_pending);
    case rl::Refusal::busy:
      // A transfer that the leader took up and gave up: the target may still campaign.
      return change.taken && !change.members ? std::optional(Failure::timed_out) : std::nullopt;
    default: return std::nullopt;
  }
}

bool Replica::in_force(const Change& change) const {
  if (!change.members) return leader_ == change.to;
  const Membership& applied = state_.applied().membership;
  return !applied.joint() && applied.members == rebased(*change.members, change.base, applied.members);
}

void Replica::finish_changes_in_force() {
  for (auto it = changes_.begin(); it != changes_.end();) {
    if (!in_force(it->second)) {
      ++it;
      continue;
    }
    Done done = std::move(it->second.done);
    it = changes_.erase(it);
    done(Bytes());
  }
}

void Replica::expire_changes(Env& env) {
  for (auto it = changes_.begin(); it != changes_.end();) {
    Change& change = it->second;
    if (env.now >= change.deadline) {
      const bool may_happen = change.accepted || change.unanswered || change.in_doubt;
      const Failure failure = may_happen ? Failure::timed_out : Failure::no_leader;
      Done done = std::move(change.done);
      it = changes_.erase(it);
      done(std::unexpected(failure));
      continue;
    }
    if (!change.accepted && env.now - change.asked_at >= 3 * config_.retry_interval) change.asked = false;
    ++it;
  }
}

void Replica::on_frame(Env& env, NodeId from, ForwardReconfigure&& frame) {
  const std::uint64_t local = next_id_++;
  const Asker asker{from, frame.id, frame.incarnation};
  reconfigurations_of_others_.emplace(local, asker);  // first: what changes nothing is in force at once
  const auto refused = ask_reconfigure(env, {local, std::move(frame.members), std::move(frame.base)});
  if (refused) reconfigurations_of_others_.erase(local);
  answer_forwarded(asker, refused ? std::optional(refused->reason) : std::nullopt);
}

void Replica::on_frame(Env& env, NodeId from, ForwardTransfer&& frame) {
  const std::uint64_t local = next_id_++;
  const Asker asker{from, frame.id, frame.incarnation};
  transfers_of_others_.emplace(local, asker);  // first: what comes of it may be told at once
  const auto refused = ask_protocol(env, rl::TransferLeadership{local, frame.to}, local);
  if (refused) transfers_of_others_.erase(local);
  answer_forwarded(asker, refused ? std::optional(refused->reason) : std::nullopt);
}

void Replica::answer_forwarded(const Asker& asker, std::optional<rl::Refusal> refusal) {
  send(asker.node,
       ForwardAnswer{asker.id, !refusal, static_cast<std::uint8_t>(refusal.value_or(rl::Refusal())), leader_,
                     asker.incarnation});
}

void Replica::on_frame(Env&, NodeId, ForwardAnswer&& frame) {
  if (frame.incarnation != config_.incarnation) return;  // to an earlier start of this node
  change_answered(frame.id,
                  frame.accepted ? std::nullopt : std::optional(static_cast<rl::Refusal>(frame.refusal)));
}

}  // namespace quorate::replica
