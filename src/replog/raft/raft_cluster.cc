#include "replog/raft/raft_cluster.h"

#include <algorithm>

#include "core/codec.h"

namespace quorate::raft::test {

void apply_write(Recovered& disk, const Write& write) {
  if (const auto* put = std::get_if<PutRecord>(&write)) {
    if (put->value.empty()) {
      disk.records.erase(put->key);
    } else {
      disk.records[put->key] = put->value;
    }
  } else if (const auto* append = std::get_if<quorate::AppendEntries>(&write)) {
    for (const auto& e : append->entries) {
      const Index last = !disk.log.empty() ? disk.log.back().index
                         : disk.snapshot   ? disk.snapshot->index
                                           : Index();
      if (e.index != last.next()) throw std::logic_error("append that does not follow the log");
      disk.log.push_back(e);
    }
  } else if (const auto* truncate = std::get_if<TruncateFrom>(&write)) {
    std::erase_if(disk.log, [&](const Entry& e) { return e.index >= truncate->index; });
  } else if (const auto* snapshot = std::get_if<SnapshotTaken>(&write)) {
    const Index upto = snapshot->meta.index;
    if (disk.log.empty() || disk.log.back().index < upto) disk.log.clear();
    std::erase_if(disk.log, [&](const Entry& e) { return e.index <= upto; });
    disk.snapshot = snapshot->meta;
  }
}

std::vector<Member> members(std::vector<std::uint64_t> voters, std::vector<std::uint64_t> learners) {
  std::vector<Member> list;
  for (const auto id : voters) list.push_back({NodeId(id), Role::voter, {}});
  for (const auto id : learners) list.push_back({NodeId(id), Role::learner, {}});
  std::ranges::sort(list, {}, &Member::id);
  return list;
}

Membership voters(std::vector<std::uint64_t> ids) { return {members(std::move(ids)), {}, {}}; }

Entry entry(std::uint64_t term, std::uint64_t index, std::string payload) {
  return {Epoch(term), Index(index), EntryKind::payload, Bytes::adopt(std::move(payload))};
}

Recovered recovered_with(std::vector<std::uint64_t> terms, std::uint64_t term) {
  Recovered recovered;
  recovered.records[hard_state_key] = codec::encode(HardState{Epoch(term), NodeId()});
  std::uint64_t index = 0;
  for (const auto t : terms) recovered.log.push_back(entry(t, ++index));
  return recovered;
}

Cluster::Cluster(std::size_t nodes, std::uint64_t seed, std::function<void(rl::Settings&)> configure)
    : rng(seed) {
  std::vector<std::uint64_t> ids;
  for (std::uint64_t id = 1; id <= nodes; ++id) ids.push_back(id);
  for (const auto id : ids) {
    add(id, voters(ids));
    if (configure) configure(node(id).settings);
  }
}

Node& Cluster::add(std::uint64_t id, Membership initial) {
  auto& slot = nodes_[NodeId(id)];
  slot = std::make_unique<Node>();
  slot->id = NodeId(id);
  slot->settings.self = NodeId(id);
  slot->settings.initial = std::move(initial);
  return *slot;
}

std::vector<std::uint64_t> Cluster::ids() const {
  std::vector<std::uint64_t> list;
  for (const auto& [id, n] : nodes_) list.push_back(id.value);
  return list;
}

void Cluster::start(std::uint64_t id) {
  Node& n = node(id);
  n.raft = std::make_unique<Raft>(n.settings, n.disk);
  n.out = std::make_unique<Raft::Out>();
  n.state.clear();
  if (n.disk.snapshot) n.state = n.received.at(n.disk.snapshot->index);
  Env env{now, rng};
  n.raft->start(env, *n.out);
  perform(n);
  check(n);
}

void Cluster::start_all() {
  for (const auto id : ids()) start(id);
}

void Cluster::crash(std::uint64_t id) {
  Node& n = node(id);
  n.raft.reset();
  n.out.reset();
  n.unsynced.clear();
  n.gated.clear();
  n.timers.clear();
}

void Cluster::restart(std::uint64_t id) {
  if (up(id)) crash(id);
  start(id);
}

bool Cluster::damage(std::uint64_t id, bool keeps_state) {
  if (up(id)) crash(id);
  Node& n = node(id);
  const auto writes = rejoin(n.id, n.disk.records, keeps_state ? n.disk.snapshot : std::nullopt);
  if (!writes) return false;
  n.disk = {};
  for (const auto& write : *writes) apply_write(n.disk, write);
  return true;
}

void Cluster::ask(std::uint64_t id, rl::Request request) {
  if (up(id)) step(node(id), Ask<rl::Request>{std::move(request)});
}

void Cluster::propose(std::uint64_t id, const std::string& payload, std::uint64_t request) {
  ask(id, rl::Propose{request, {Bytes::copy(payload)}});
}

void Cluster::inject(std::uint64_t from, std::uint64_t to, Message message) {
  if (up(to)) step(node(to), Receive<Message>{NodeId(from), std::move(message)});
}

void Cluster::fire(std::uint64_t id, TimerId timer) {
  if (!up(id)) return;
  node(id).timers.erase(timer);
  step(node(id), TimerFired{timer});
}

bool Cluster::sync_one(std::uint64_t id) {
  Node& n = node(id);
  if (n.unsynced.empty() || !up(id)) return false;
  const Persist write = std::move(n.unsynced.front());
  n.unsynced.pop_front();
  for (const auto& w : write.writes) apply_write(n.disk, w);
  auto gated = std::exchange(n.gated, {});
  for (auto& effect : gated) handle(n, std::move(effect));
  step(n, Persisted{write.ticket});
  return true;
}

void Cluster::sync(std::uint64_t id) {
  while (sync_one(id)) {
  }
}

void Cluster::deliver(std::size_t at) {
  Packet packet = std::move(wire[at]);
  wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(at));
  if (passes && !passes(packet)) return;
  if (std::ranges::find(cut_, std::pair(packet.from, packet.to)) != cut_.end()) return;
  if (!nodes_.contains(packet.to)) return;
  inject(packet.from.value, packet.to.value, std::move(packet.message));
}

void Cluster::cut(std::uint64_t a, std::uint64_t b) {
  cut_one_way(a, b);
  cut_one_way(b, a);
}

void Cluster::cut_one_way(std::uint64_t from, std::uint64_t to) {
  cut_.emplace_back(NodeId(from), NodeId(to));
}

void Cluster::only(std::vector<std::pair<std::uint64_t, std::uint64_t>> links) {
  cut_.clear();
  for (const auto a : ids()) {
    for (const auto b : ids()) {
      const bool kept =
          std::ranges::any_of(links, [&](auto l) { return l == std::pair(a, b) || l == std::pair(b, a); });
      if (!kept) cut_one_way(a, b);
    }
  }
}

void Cluster::settle() {
  std::size_t steps = 0;
  for (bool busy = true; busy;) {
    busy = false;
    if (++steps > 100'000) {  // messages beget messages without end
      violations.push_back("the network does not come to rest: " +
                           (wire.empty() ? "" : codec::to_json(wire[0])));
      wire.clear();
      return;
    }
    if (!later_.empty()) {
      auto work = std::move(later_.front());
      later_.pop_front();
      work();
      busy = true;
    }
    if (!wire.empty()) {
      deliver(0);
      busy = true;
    }
    for (const auto id : ids()) {
      if (node(id).disk_works && sync_one(id)) busy = true;
    }
  }
}

void Cluster::advance(Duration duration) {
  const Instant end = now + duration;
  settle();
  for (;;) {
    std::optional<std::pair<Instant, std::pair<std::uint64_t, TimerId>>> next;
    for (const auto id : ids()) {
      for (const auto& [timer, at] : node(id).timers) {
        if (!next || at < next->first) next = {at, {id, timer}};
      }
    }
    if (!next || next->first > end) break;
    now = std::max(now, next->first);
    fire(next->second.first, next->second.second);
    settle();
  }
  now = end;
}

void Cluster::elect(std::uint64_t id) {
  for (int i = 0; i < 10 && raft(id).state() != State::leader; ++i) {
    now += 40 * node(id).settings.election_timeout;
    fire(id, Raft::election_timer);
    settle();
  }
}

std::optional<std::uint64_t> Cluster::leader() {
  std::optional<std::uint64_t> found;
  for (const auto id : ids()) {
    if (up(id) && raft(id).state() == State::leader && (!found || raft(id).term() > raft(*found).term()))
      found = id;
  }
  return found;
}

void Cluster::forget_events() {
  for (const auto& [id, n] : nodes_) n->events.clear();
}

std::vector<std::string> Cluster::payloads(std::uint64_t id) {
  std::vector<std::string> list;
  for (const auto& e : node(id).state) {
    if (e.kind == EntryKind::payload) list.push_back(e.payload.str());
  }
  return list;
}

std::vector<std::uint64_t> Cluster::log_terms(std::uint64_t id) {
  std::vector<std::uint64_t> terms;
  const Log& log = raft(id).log();
  for (Index i = log.base().next(); i <= log.last(); ++i) terms.push_back(log.term(i).value);
  return terms;
}

void Cluster::step(Node& n, Raft::In input) {
  Env env{now, rng};
  n.raft->step(env, std::move(input), *n.out);
  perform(n);
  check(n);
}

void Cluster::perform(Node& n) {
  for (auto& effect : n.out->take()) handle(n, std::move(effect));
}

void Cluster::handle(Node& n, Effect<Bytes, rl::Event> effect) {
  const auto waits = [&](Ticket after) { return !n.unsynced.empty() && after >= n.unsynced.front().ticket; };
  if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
    if (waits(send->after)) return n.gated.push_back(std::move(effect));
    wire.push_back({n.id, send->to, codec::decode<Message>(send->message).value()});
  } else if (auto* persist = std::get_if<Persist>(&effect)) {
    n.unsynced.push_back(std::move(*persist));
  } else if (auto* set = std::get_if<SetTimer>(&effect)) {
    n.timers[set->id] = set->at;
  } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
    n.timers.erase(cancel->id);
  } else if (auto* emit = std::get_if<Emit<rl::Event>>(&effect)) {
    if (waits(emit->after)) return n.gated.push_back(std::move(effect));
    happened(n, std::move(emit->event));
  }
}

void Cluster::happened(Node& n, rl::Event event) {
  if (const auto* committed = std::get_if<rl::Committed>(&event)) {
    apply(n, committed->entries);
  } else if (const auto* changed = std::get_if<rl::MembershipChanged>(&event)) {
    n.membership = changed->membership;
  } else if (const auto* restore = std::get_if<rl::Restore>(&event)) {
    if (restore->meta.index.value < n.state.size()) violations.push_back("restored an older state");
    n.state = n.received.at(restore->meta.index);
  } else if (const auto* wanted = std::get_if<rl::SendSnapshot>(&event);
             wanted != nullptr && auto_snapshots) {
    later_.push_back([this, from = n.id, to = wanted->to, epoch = wanted->epoch] {
      bring_snapshot(*nodes_.at(from), to, epoch);
    });
  }
  if (const auto* halt = std::get_if<rl::Halt>(&event)) {
    violations.push_back("node " + to_string(n.id) + " halted: " + halt->reason);
  }
  n.events.push_back(std::move(event));
}

// State-machine safety: every node applies the same entry at the same index.
void Cluster::apply(Node& n, const std::vector<Entry>& entries) {
  for (const auto& e : entries) {
    if (e.index.value != n.state.size() + 1) {
      violations.push_back("node " + to_string(n.id) + " applied index " + to_string(e.index) +
                           " out of order");
      return;
    }
    if (e.index.value <= committed_.size()) {
      if (!(committed_[e.index.value - 1] == e)) {
        violations.push_back("two different entries committed at index " + to_string(e.index));
      }
    } else {
      committed_.push_back(e);
    }
    n.state.push_back(e);
  }
}

void Cluster::bring_snapshot(Node& from, NodeId to, Epoch epoch) {
  if (!from.raft) return;
  const Index index = from.raft->applied();
  bool ok = nodes_.contains(to) && nodes_.at(to)->raft != nullptr && !index.none();
  for (const auto& link : cut_) ok = ok && link != std::pair(from.id, to) && link != std::pair(to, from.id);
  if (ok) {
    SnapshotMeta meta{index, from.state[index.value - 1].epoch, from.settings.initial, {}};
    if (from.disk.snapshot) meta.membership = from.disk.snapshot->membership;
    for (const auto& e : from.state) {
      if (e.kind == EntryKind::membership) meta.membership = *codec::decode<Membership>(e.payload);
    }
    nodes_.at(to)->received[index] = from.state;
    ask(to.value, rl::SnapshotReceived{from.id, epoch, meta});
  }
  ask(from.id.value, rl::SnapshotDelivered{to, index, ok});
}

void Cluster::check(Node& n) {
  if (auto broken = n.raft->check_invariants()) violations.push_back(*broken);
  if (n.raft->state() != State::leader) return;
  const auto [it, first] = leaders_.try_emplace(n.raft->term(), n.id);
  if (it->second != n.id) violations.push_back("two leaders in term " + to_string(n.raft->term()));
  if (!first) return;
  // Leader completeness, §3.6.3.
  for (const auto& e : committed_) {
    if (e.index > n.raft->log().base() && !n.raft->log().matches(e.index, e.epoch)) {
      violations.push_back("leader of term " + to_string(n.raft->term()) + " lacks committed " +
                           to_string(e.index));
      return;
    }
  }
}

void Cluster::check_logs() {
  for (const auto& [a, x] : nodes_) {
    for (const auto& [b, y] : nodes_) {
      if (!(a < b) || !x->raft || !y->raft) continue;
      const Log& p = x->raft->log();
      const Log& q = y->raft->log();
      bool agree = false;
      for (Index i = std::min(p.last(), q.last()); i > std::max(p.base(), q.base()); i = i.prev()) {
        const bool same = p.at(i) == q.at(i);
        if (p.term(i) == q.term(i) && !same) violations.push_back("same term and index, different entry");
        if (agree && !same) violations.push_back("logs agree at a later index but not at " + to_string(i));
        agree = agree || p.term(i) == q.term(i);
      }
    }
  }
}

}  // namespace quorate::raft::test
