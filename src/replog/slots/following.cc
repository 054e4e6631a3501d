// The slot log's relations to its peers: leadership, catching up, membership.
#include <algorithm>

#include "core/codec.h"
#include "replog/slots/slot_log.h"

namespace quorate::slots {

using replicated_log::Refusal;
using replicated_log::Refused;

namespace {

constexpr TimerId tick_timer{1};

}  // namespace

std::vector<NodeId> SlotLog::voters() const {
  const auto* configuration = configurations_.in_force(next_);
  return configuration ? configuration->membership.voters() : std::vector<NodeId>();
}

// All members of the configurations in force or coming into force, without this node.
std::vector<NodeId> SlotLog::audience() const {
  std::vector<NodeId> ids;
  const auto add = [&](const Configuration* configuration) {
    if (!configuration) return;
    for (const auto& member : configuration->membership.members) {
      if (member.id != self_) ids.push_back(member.id);
    }
  };
  add(configurations_.in_force(next_));
  add(configurations_.latest());
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  return ids;
}

// -------------------------------------------------------------------------------------------- leadership

Heartbeat SlotLog::own_heartbeat(Env& env) const {
  Index seen = decided_prefix();
  if (!decided_.empty()) seen = std::max(seen, decided_.rbegin()->first);
  seen = std::max(seen, instances_.highest());
  return {omega_.priority(), omega_.eligible(), omega_.heard_now(env.now), decided_prefix(), seen};
}

void SlotLog::heartbeat(Env& env, Out& out) {
  const auto beat = own_heartbeat(env);
  for (const NodeId to : audience()) out.send(to, beat);
}

// A tick that comes late tells that this node stood still, others perhaps with it (a machine that was
// paused). Before whatever comes first is looked at: a heartbeat, too, leads to an evaluation of all.
void SlotLog::forgive_standing_still(Instant now) {
  const Duration late = now - tick_due_;
  if (late <= settings_.heartbeat) return;
  omega_.forgive(now, late);
  leaderless_since_ = std::min(now, leaderless_since_ + late);
  tick_due_ = now;
}

void SlotLog::tick(Env& env, Out& out) {
  tick_due_ = env.now + settings_.heartbeat;
  out.set_timer(tick_timer, tick_due_);
  const auto known = audience();
  omega_.forget_unless([&](NodeId id) { return std::ranges::binary_search(known, id); });
  evaluate(env, out);
  heartbeat(env, out);
  if (transfer_) {
    if (env.now >= transfer_->deadline) {
      out.emit(Refused{std::exchange(transfer_, {})->id, Refusal::busy, omega_.leader()});
    } else {
      out.send(transfer_->to, TakeOver{omega_.priority()});
    }
  }
  if (forwarded_ && !omega_.leader().none())
    out.send(omega_.leader(), ReadRequest{incarnation_, forwarded_->number});
  if (omega_.leader().none() && env.now - leaderless_since_ >= settings_.election_timeout) refuse_reads(out);
}

bool SlotLog::ready() const {
  if (awaiting_configurations_ || damage_) return false;
  return std::ranges::none_of(omega_.peers(),
                              [&](const auto& peer) { return peer.second.decided >= end_of_window(); });
}

void SlotLog::evaluate(Env& env, Out& out) {
  omega_.evaluate(env.now, voters(), ready());
  const NodeId leader = omega_.leader();
  if (leader == leader_told_) return;
  const bool led = leader_told_ == self_;
  if (leader.none()) leaderless_since_ = env.now;
  leader_told_ = leader;
  // Without an epoch: this leadership excludes no other, and says nothing of what its holder knows.
  out.emit(replicated_log::LeaderChanged{leader, Epoch()});
  transfer_.reset();
  if (led) refuse_queue(out);
  if (leads()) {
    // What an earlier leader left in slots this node knows nothing of: a no-op that is proposed until it wins
    // a slot passes through all of them, and finishes each.
    queue({.sequence = ++sequence_,
           .kind = EntryKind::noop,
           .payload = {},
           .request = 0,
           .insist = true,
           .readers = {}});
    heartbeat(env, out);
  }
}

void SlotLog::ask(Env& env, const replicated_log::TransferLeadership& r, Out& out) {
  if (!leads()) {
    const auto reason = omega_.leader().none() ? Refusal::no_leader : Refusal::not_leader;
    return out.emit(Refused{r.id, reason, omega_.leader()});
  }
  if (transfer_) return out.emit(Refused{r.id, Refusal::change_pending, self_});
  if (r.to == self_) return out.emit(replicated_log::LeaderChanged{self_, Epoch()});
  const auto* peer = omega_.peer(r.to);
  const auto electorate = voters();
  const bool can = peer && peer->eligible && std::ranges::find(electorate, r.to) != electorate.end();
  if (!can || !omega_.connected(env.now, r.to)) return out.emit(Refused{r.id, Refusal::invalid, self_});
  transfer_ = Transfer{r.id, r.to, env.now + settings_.election_timeout * 2};
  out.send(r.to, TakeOver{omega_.priority()});
}

void SlotLog::on(Env& env, NodeId from, const TakeOver& m, Out& out) {
  if (omega_.leader() != from || omega_.leader_priority() > m.priority) return;  // an old one, or repeated
  omega_.take_over(m.priority);
  evaluate(env, out);
  heartbeat(env, out);
}

// ------------------------------------------------------------------------------------------- catching up

void SlotLog::on(Env& env, NodeId from, const Heartbeat& m, Out& out) {
  if (m.decided.value >= std::numeric_limits<std::uint64_t>::max() - options_.window) return;
  const auto known = audience();
  if (!std::ranges::binary_search(known, from)) {
    // Not one of us, or not yet known here, or removed and unaware of it: whoever is behind can be told.
    if (m.decided < decided_prefix()) out.send(from, own_heartbeat(env));
    // One that leaves may be the last that knows who takes part from here on.
    const bool knows_more = awaiting_configurations_ ? m.decided >= decided_prefix() : m.decided >= next_;
    if (knows_more) out.send(from, CatchUp{next_});
    return;
  }
  omega_.heard(env.now, from, m);
  evaluate(env, out);
  const auto* peer = omega_.peer(from);
  // Slots are decided everywhere at nearly the same time: only who lacks by the second heartbeat what the
  // first one told of is behind.
  const bool behind =
      awaiting_configurations_ ? m.decided >= decided_prefix() : peer->decided_before >= next_;
  if (!behind) return;
  const NodeId leader = omega_.leader();
  const auto* leading = omega_.peer(leader);
  const bool ask_leader = leader != from && leading && leading->decided >= next_;
  if (!ask_leader) out.send(from, CatchUp{next_});
}

// Who takes part behind the prefix, told by a peer whose prefix is no shorter.
void SlotLog::adopt(const Values& m, Out& out) {
  const bool blank = next_ == Index(1) && instances_.empty() && decided_.empty();
  if (m.configurations.empty() || (!awaiting_configurations_ && !blank) || m.decided < decided_prefix())
    return;
  const auto sound = [](const Configuration& c) { return well_formed(c.membership); };
  const auto ascending = std::ranges::is_sorted(m.configurations, {}, &Configuration::from);
  if (!ascending || !std::ranges::all_of(m.configurations, sound)) return;
  if (m.configurations.front().from > next_) return;
  auto list = m.configurations;
  std::erase_if(
      list, [&](const Configuration& c) { return c.decided_at >= next_; });  // they come again in their slots
  if (list.empty() || (!awaiting_configurations_ && list == configurations_.list())) return;
  configurations_.reset(std::move(list));
  awaiting_configurations_ = false;
  change_.reset();
  if (const auto* pending = configurations_.pending(next_)) change_ = *pending;
  (void)out.persist({configurations_record(decided_prefix())});
  tell_membership(out);
}

// Learners take no part in the slots: the leader passes on what was decided.
void SlotLog::to_learners(const std::vector<Decided>& decided, Out& out) {
  if (!leads()) return;
  const auto* configuration = configurations_.in_force(next_);
  if (!configuration) return;
  std::optional<Values> values;
  for (const auto& member : configuration->membership.members) {
    if (member.role == Role::voter || member.id == self_) continue;
    if (!values) {
      values = Values{decided.front().entry.index, {}, decided_prefix(), {}};
      for (const auto& d : decided) values->values.push_back(value_at(d.entry.index));
    }
    out.send(member.id, *values);
  }
}

// -------------------------------------------------------------------------------------------- membership

// While a change is decided and not yet in force, the members that leave are told as departing.
void SlotLog::tell_membership(Out& out) {
  const auto* now = configurations_.in_force(next_);
  if (!now) return;
  if (!change_ || change_->from <= next_) {
    change_.reset();
    out.emit(replicated_log::MembershipChanged{now->membership, now->decided_at, true});
    return;
  }
  Membership coming = change_->membership;
  for (const auto& member : now->membership.members) {
    if (!coming.find(member.id)) coming.departing.push_back(member);
  }
  out.emit(replicated_log::MembershipChanged{std::move(coming), change_->decided_at, false});
}

}  // namespace quorate::slots
