// Cluster membership changes by joint consensus (§4.3). A configuration is in force from the moment it is in
// the log, committed or not (§4.1), and goes with its entry when that is truncated.
#include <algorithm>

#include "core/codec.h"
#include "replog/raft/raft.h"

namespace quorate::raft {

namespace {

bool strictly_sorted(const auto& list, auto projection) {
  return std::ranges::adjacent_find(list, std::ranges::greater_equal{}, projection) == std::ranges::end(list);
}

}  // namespace

bool Raft::valid(const Membership& m) {
  const auto real = [](const Member& member) { return !member.id.none() && member.role <= Role::voter; };
  return std::ranges::find(m.members, Role::voter, &Member::role) != m.members.end() &&
         strictly_sorted(m.members, &Member::id) && std::ranges::all_of(m.members, real) &&
         strictly_sorted(m.outgoing, std::identity{}) && strictly_sorted(m.departing, &Member::id) &&
         std::ranges::none_of(m.outgoing, &NodeId::none);
}

bool Raft::sole_voter() const {
  return incoming_.size() == 1 && incoming_.front() == settings_.self && !membership().joint();
}

const Membership& Raft::membership_at(Index index) const {
  auto it = std::ranges::upper_bound(configs_, index, {}, &Config::index);
  return it == configs_.begin() ? it->membership : std::prev(it)->membership;
}

void Raft::ask(Context& c, replicated_log::Reconfigure& request) {
  if (state_ != State::leader)
    return refuse(c, request.id, leader_ ? Refusal::not_leader : Refusal::no_leader);
  const Config& now = configs_.back();
  // One change at a time, and none before the no-op of the own term is committed: otherwise an uncommitted
  // change of an earlier leader may still win (§4.1; Ongaro's bug report of 2015).
  if (change_ || transfer_ || now.membership.joint() || now.index > commit_) {
    return refuse(c, request.id, Refusal::change_pending);
  }
  if (!committed_in_term()) return refuse(c, request.id, Refusal::busy);
  Membership next{rebased(std::move(request.members), request.base, now.membership.members), {}, {}};
  std::ranges::sort(next.members, {}, &Member::id);
  if (!valid(next)) return refuse(c, request.id, Refusal::invalid);
  if (!learners_ready(next)) return refuse(c, request.id, Refusal::not_ready);
  // One who chose by other members asks for what is done already; one who knew the same members by other
  // contexts is to see the change it asked for in its log.
  const bool same = request.base.empty() || same_members(request.base, now.membership.members);
  const bool known = request.base.empty() || request.base == now.membership.members;
  if (next == now.membership && (known || !same)) {
    return c.out.emit(replicated_log::MembershipChanged{now.membership, now.index, true});
  }
  if (!same) return refuse(c, request.id, Refusal::superseded);
  if (next.voters() != incoming_) {  // with the same voters every quorum stays one: no joint phase is needed
    next.outgoing = incoming_;
    for (const auto& member : now.membership.members) {
      const bool stays = std::ranges::find(next.members, member.id, &Member::id) != next.members.end();
      if (!stays) next.departing.push_back(member);
    }
  }
  change_ = request.id;
  append_membership(c, std::move(next));
}

// §4.2.1: a server that lacks much of the log would keep the cluster waiting as soon as its vote is needed.
// Where the line is drawn, at nine tenths of the leader's log, is etcd's choice.
bool Raft::learners_ready(const Membership& next) const {
  return std::ranges::all_of(next.members, [&](const Member& member) {
    const Member* before = membership().find(member.id);
    const bool promoted = before != nullptr && before->role == Role::learner && member.role == Role::voter;
    const Progress* p = promoted ? progress(member.id) : nullptr;
    return p == nullptr || p->match.value >= log_.last().value - log_.last().value / 10;
  });
}

void Raft::append_membership(Context& c, Membership next) {
  const Index index = log_.last().next();
  append_own(c, {Entry{term_, index, EntryKind::membership, codec::encode(next)}});
  take_effect(c, {index, std::move(next)});
  broadcast_entries(c);
  advance_commit(c);
  // Who is its own quorum from now on hears no answer that would confirm the reads under way.
  if (state_ == State::leader) confirm_reads(c);
}

void Raft::take_effect(Context& c, Config config) {
  configs_.push_back(std::move(config));
  config_changed(c);
}

void Raft::roll_back_configs(Context& c, Index from) {
  const auto before = configs_.size();
  while (configs_.size() > 1 && configs_.back().index >= from) configs_.pop_back();
  if (configs_.size() != before) config_changed(c);
}

void Raft::config_changed(Context& c) {
  incoming_ = membership().voters();
  if (state_ == State::leader) rebuild_peers(c.env.now);
  c.out.emit(replicated_log::MembershipChanged{membership(), configs_.back().index,
                                               configs_.back().index <= commit_});
}

// §4.3: C_new follows once C_old,new is committed, which for a leader that found it in its log means: once
// its own no-op is. A leader that is not part of the final configuration steps down when that is committed.
void Raft::leave_joint(Context& c) {
  if (configs_.back().index > commit_ || !committed_in_term()) return;
  if (membership().joint()) return append_membership(c, Membership{membership().members, {}, {}});
  change_.reset();
  if (!membership().votes(settings_.self)) hand_over(c);
}

// Those that are no longer members are served a little longer, so that they learn of their removal.
void Raft::rebuild_peers(Instant now) {
  const auto track = [&](NodeId id) {
    if (id == settings_.self || find(id) != nullptr) return;
    const auto at = std::ranges::upper_bound(peers_, id, {}, &Progress::id);
    peers_.insert(at, Progress(id, log_.last().next(), settings_.max_inflight, now));
  };
  for (const auto& member : membership().members) track(member.id);
  for (const auto& member : membership().departing) track(member.id);
  for (auto& p : peers_) {
    if (membership().find(p.id) != nullptr) {
      p.leaving.reset();
    } else if (!p.leaving) {
      p.leaving = now + 4 * settings_.election_timeout;
    }
  }
}

void Raft::drop_departed(Instant now) {
  std::erase_if(peers_, [&](const Progress& p) {
    return p.leaving && (now >= *p.leaving || p.commit_sent >= configs_.back().index);
  });
}

}  // namespace quorate::raft
