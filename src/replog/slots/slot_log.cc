#include "replog/slots/slot_log.h"

#include <algorithm>

#include "core/codec.h"

namespace quorate::slots {
namespace {

constexpr TimerId tick_timer{1};
constexpr const char* incarnation_key = "incarnation";
constexpr const char* configurations_key = "configurations";

struct ConfigurationsRecord {  // all decided up to `upto` that matter behind it
  Index upto;
  std::vector<Configuration> list;
};
BOOST_DESCRIBE_STRUCT(ConfigurationsRecord, (), (upto, list))

}  // namespace

SlotLog::SlotLog(const replicated_log::Settings& settings, Options options, AgreementFactory factory,
                 Recovered recovered)
    : settings_(settings),
      options_(options),
      self_(settings.self),
      instances_(std::move(factory), settings.self, settings.round_trip, recovered.records),
      configurations_(options.window),
      omega_(settings.self, settings.election_timeout),
      snapshot_(std::move(recovered.snapshot)) {
  ConfigurationsRecord known;
  if (const auto it = recovered.records.find(configurations_key); it != recovered.records.end()) {
    if (auto record = codec::decode<ConfigurationsRecord>(it->second)) {
      known = std::move(*record);
    } else {
      damage_ = "the record of the configurations cannot be read";
    }
  } else if (well_formed(settings.initial)) {
    known.list.push_back({Index(0), Index(1), settings.initial});
  }
  if (const auto it = recovered.records.find(incarnation_key); it != recovered.records.end()) {
    if (const auto count = codec::decode<std::uint64_t>(it->second)) {
      incarnation_ = *count + 1;
    } else {
      damage_ = "the record of the incarnation cannot be read";
    }
  }
  const Index cut = snapshot_ ? snapshot_->index : Index();
  next_ = recovered.log.empty() ? cut.next() : recovered.log.back().index.next();
  if (next_ <= cut) {  // the whole log is behind the snapshot
    recovered.log.clear();
    next_ = cut.next();
  }
  awaiting_configurations_ = known.list.empty() || known.upto < cut;
  configurations_.reset(std::move(known.list));
  if (awaiting_configurations_ && snapshot_)
    configurations_.reset({{Index(), Index(1), snapshot_->membership}});
  for (auto& entry : recovered.log) {
    if (entry.kind == EntryKind::membership && entry.index > known.upto && !awaiting_configurations_) {
      if (auto membership = codec::decode<Membership>(entry.payload))
        configurations_.add(entry.index, *membership);
    }
    log_.push_back({std::move(entry), {}, 0, 0});
  }
}

void SlotLog::start(Env& env, Out& out) {
  leaderless_since_ = env.now;
  if (damage_) return halt(*damage_, out);
  auto writes = instances_.erase_upto(decided_prefix(), out);
  writes.emplace_back(PutRecord{incarnation_key, codec::encode(incarnation_)});
  incarnation_ticket_ = out.persist(std::move(writes));
  if (const auto* pending = configurations_.pending(next_)) change_ = *pending;
  // The host's state may be behind all of them: who takes part there it can not know but from here.
  if (const auto& known = configurations_.list(); known.size() > 1)
    out.emit(replicated_log::MembershipChanged{known.front().membership, known.front().decided_at, true});
  tell_membership(out);
  replicated_log::Committed committed;
  for (const auto& decided : log_) {
    if (!snapshot_ || decided.entry.index > snapshot_->index) committed.entries.push_back(decided.entry);
  }
  if (!committed.entries.empty()) out.emit(std::move(committed));
  tick(env, out);
  advance(env, out);
}

void SlotLog::step(Env& env, const In& input, Out& out) {
  if (damage_) return;
  forgive_standing_still(env.now);
  if (const auto* received = std::get_if<Receive<Message>>(&input)) {
    if (received->from == self_ || received->from.none()) return;
    std::visit([&](const auto& m) { on(env, received->from, m, out); }, received->message);
  } else if (const auto* fired = std::get_if<TimerFired>(&input)) {
    if (fired->id == tick_timer) {
      tick(env, out);
    } else {
      instances_.timer(env, fired->id, out);
    }
  } else if (const auto* persisted = std::get_if<Persisted>(&input)) {
    durable_ = std::max(durable_, persisted->upto);
    instances_.persisted(env, persisted->upto, out);
  } else {
    std::visit([&](const auto& r) { ask(env, r, out); }, std::get<Ask<Request>>(input).request);
  }
  advance(env, out);
}

// Carries every consequence of an input to its end: decisions extend the prefix, the prefix moves the window,
// the window has room for proposals, and a proposal of a lone node decides at once.
void SlotLog::advance(Env& env, Out& out) {
  if (damage_) return;
  for (;;) {
    for (const Index slot : instances_.recovered()) open(env, slot, out);
    route_reads(out);
    pump(env, out);
    const auto decisions = instances_.take_decisions();
    for (const auto& decision : decisions) {
      // What no proposer of this kind can have sent is a no-op, at every node alike.
      const auto value = codec::decode<Value>(decision.value);
      take(decision.slot, value ? *value : Value{}, out);
    }
    const Index before = next_;
    collect(out);
    if (decisions.empty() && next_ == before) break;
    evaluate(env, out);
  }
  flush(out);
  if (const auto& damage = instances_.damage()) halt(*damage, out);
}

// ------------------------------------------------------------------------------------ the decided prefix

bool SlotLog::open(Env& env, Index slot, Out& out) {
  if (instances_.contains(slot)) return true;
  if (awaiting_configurations_ || slot < next_ || slot >= end_of_window()) return false;
  const auto* configuration = configurations_.in_force(slot);
  if (!configuration) return false;
  instances_.open(env, slot, configuration->membership.voters(), out);
  return true;
}

void SlotLog::on(Env& env, NodeId from, const InSlot& m, Out& out) {
  if (open(env, m.slot, out)) return instances_.receive(env, m.slot, from, m.message, out);
  // The instance is gone: the log answers for it. Where the log is cut too, the sender will see by the
  // heartbeats that it is behind.
  if (m.slot >= log_begin() && m.slot < next_) {
    out.send(from, Values{m.slot, {value_at(m.slot)}, decided_prefix(), {}});
  }
}

void SlotLog::take(Index slot, const Value& value, Out& out) {
  if (slot < next_ || decided_.contains(slot)) return;
  decided_.emplace(slot, value);
  settle(slot, value, out);
}

void SlotLog::collect(Out& out) {
  if (awaiting_configurations_) return;  // whether a membership is void depends on those in front of it
  for (auto it = decided_.begin(); it != decided_.end() && it->first == next_; it = decided_.erase(it)) {
    enter(it->first, it->second, out);
  }
}

// The next entry of the log, in slot order.
void SlotLog::enter(Index slot, const Value& value, Out& out) {
  Entry entry{Epoch(1), slot, value.kind, value.payload};
  const bool counts =
      value.kind == EntryKind::membership ? change(slot, value) : value.kind == EntryKind::payload;
  // From a log in which it is void already, a change comes as a no-op.
  if (const auto asked = changes_.extract(slot); asked && !counts) supersede(asked.mapped(), out);
  if (!counts) {
    entry.kind = EntryKind::noop;
    entry.payload = {};
  }
  log_.push_back({entry, value.origin, value.incarnation, value.sequence});
  fresh_.push_back(log_.back());
  ++next_;
  const bool in_force = change_ && change_->from <= next_;
  if (change_ && (change_->decided_at == slot || in_force)) tell_membership(out);
  // A slot's instance stays for one more window: it answers those who are a little behind.
  if (slot.value > options_.window) {
    for (auto& write : instances_.erase_upto(slot - options_.window, out))
      erasures_.push_back(std::move(write));
  }
}

// False: void, at every node alike.
bool SlotLog::change(Index slot, const Value& value) {
  const auto membership = codec::decode<Membership>(value.payload);
  if (!membership || !well_formed(*membership) || !configurations_.add(slot, *membership)) return false;
  change_ = *configurations_.latest();
  return true;
}

void SlotLog::flush(Out& out) {
  if (fresh_.empty()) return;
  replicated_log::Committed committed;
  for (const auto& decided : fresh_) committed.entries.push_back(decided.entry);
  std::vector<Write> writes{AppendEntries{committed.entries}};
  std::ranges::move(std::exchange(erasures_, {}), std::back_inserter(writes));
  // The values are safe with a majority of their acceptors; executing them need not wait for this disk.
  (void)out.persist(std::move(writes));
  out.emit(std::move(committed), restored_ > durable_ ? restored_ : Ticket());
  to_learners(fresh_, out);
  fresh_.clear();
}

Value SlotLog::value_at(Index slot) const {
  const auto& decided = log_[static_cast<std::size_t>(slot - log_begin())];
  return {decided.origin, decided.incarnation, decided.sequence, decided.entry.kind, decided.entry.payload};
}

void SlotLog::on(Env&, NodeId from, const CatchUp& m, Out& out) {
  if (m.from.none() || m.from > next_ || awaiting_configurations_) return;
  if (m.from < log_begin()) {
    if (sending_snapshot_.contains(from)) return;
    sending_snapshot_[from] = true;
    return out.emit(replicated_log::SendSnapshot{from, Epoch(1)});
  }
  Values answer{m.from, {}, decided_prefix(), configurations_.list()};
  std::size_t bytes = 0;
  for (Index slot = m.from; slot < next_ && bytes < settings_.max_batch_bytes; ++slot) {
    answer.values.push_back(value_at(slot));
    bytes += codec::encoded_size(answer.values.back());
  }
  out.send(from, std::move(answer));
}

void SlotLog::on(Env&, NodeId from, const Values& m, Out& out) {
  if (m.first.none() || m.values.size() > m.decided.value || m.first.value > m.decided.value + 1) return;
  adopt(m, out);
  const Index before = next_;
  Index slot = m.first;
  for (const auto& value : m.values) {
    if (slot >= end_of_window()) break;
    if (slot >= next_ && !decided_.contains(slot)) {
      take(slot, value, out);
      collect(out);
    }
    // Once the log has the slot, what its instance would still do is of no interest, and its records go with
    // the next write. Not before: behind a gap the value is in memory only, and the acceptor stays bound by
    // what it promised and accepted (Paxos Made Simple §2.5; AnAcceptorThatLearntAValueBehindAGapStaysBound).
    if (slot < next_) {
      for (auto& write : instances_.erase(slot, out)) erasures_.push_back(std::move(write));
    }
    ++slot;
  }
  // Only what brought something asks for the rest: each copy of an answer would be answered again, and each
  // of those again, until the links carry nothing else.
  const bool more = !m.configurations.empty() && next_ != before && slot == next_ && next_ <= m.decided;
  if (more) out.send(from, CatchUp{next_});
}

// ---------------------------------------------------------------------------------------------- snapshots

PutRecord SlotLog::configurations_record(Index upto) const {
  return {configurations_key, codec::encode(ConfigurationsRecord{upto, configurations_.decided_upto(upto)})};
}

void SlotLog::ask(Env&, const replicated_log::SnapshotAvailable& r, Out& out) {
  const Index index = r.meta.index;
  if (index.none() || index >= next_ || (snapshot_ && index <= snapshot_->index) || awaiting_configurations_)
    return;
  flush(out);  // the log must reach the snapshot before it is cut there
  snapshot_ = r.meta;
  (void)out.persist({configurations_record(index), SnapshotTaken{r.meta}});
  trim_log(index);
}

// What is kept in memory behind the snapshot is for those that lag a little.
void SlotLog::trim_log(Index snapshot) {
  std::size_t bytes = 0;
  for (Index at = log_begin(); at <= snapshot; at = at.next()) {
    bytes += log_[at - log_begin()].entry.payload.size();
  }
  const auto too_much = [&] {
    return log_begin() + settings_.keep_entries <= snapshot || bytes > settings_.keep_bytes;
  };
  while (!log_.empty() && log_begin() <= snapshot && too_much()) {
    bytes -= log_.front().entry.payload.size();
    log_.pop_front();
  }
  configurations_.trim(log_begin());
}

void SlotLog::ask(Env&, const replicated_log::SnapshotReceived& r, Out& out) {
  const Index index = r.meta.index;
  constexpr std::uint64_t max_index = std::uint64_t{1} << 62U;
  if (index < next_ || index.value > max_index || !well_formed(r.meta.membership)) return;
  flush(out);
  snapshot_ = r.meta;
  next_ = index.next();
  log_.clear();
  decided_.erase(decided_.begin(), decided_.lower_bound(next_));
  // Own proposals in the slots that were skipped: nobody can tell here what became of them.
  while (!assigned_.empty() && assigned_.begin()->first < next_) {
    auto own = std::move(assigned_.extract(assigned_.begin()).mapped());
    keep_reads(own);
    refuse(own.request, replicated_log::Refusal::lost_leadership, out);
  }
  while (!changes_.empty() && changes_.begin()->first < next_) {
    refuse(changes_.extract(changes_.begin()).mapped().request, replicated_log::Refusal::lost_leadership,
           out);
  }
  auto writes = instances_.erase_upto(index, out);
  writes.emplace_back(SnapshotTaken{r.meta});
  restored_ = out.persist(std::move(writes));
  // Who takes part behind the snapshot depends on memberships decided within the last window in front of it,
  // of which the snapshot tells only the result: a peer must tell (see adopt).
  awaiting_configurations_ = true;
  change_.reset();
  configurations_.reset({{Index(), Index(1), r.meta.membership}});
  out.emit(replicated_log::Restore{r.meta}, restored_);
  collect(out);
  if (!r.from.none() && r.from != self_) out.send(r.from, CatchUp{next_}, restored_);
}

void SlotLog::ask(Env&, const replicated_log::SnapshotDelivered& r, Out&) { sending_snapshot_.erase(r.to); }

void SlotLog::halt(const std::string& reason, Out& out) {
  damage_ = reason;
  out.emit(replicated_log::Halt{reason});
}

// ------------------------------------------------------------------------------------------------ insight

std::optional<std::string> SlotLog::check_invariants() const {
  if (damage_) return damage_;
  if (!decided_.empty() && decided_.begin()->first <= next_ && !awaiting_configurations_)
    return "a decided slot was not entered into the log";
  if (!decided_.empty() && decided_.rbegin()->first >= end_of_window())
    return "a decided slot beyond the window";
  if (!instances_.empty() && instances_.highest() >= end_of_window()) return "an open slot beyond the window";
  if (!assigned_.empty() && assigned_.begin()->first < next_) return "an own proposal in a decided slot";
  if (!changes_.empty() && changes_.begin()->first < next_)
    return "a change in a decided slot whose asker was not told";
  if (!fresh_.empty()) return "decided entries that were not told";
  // Entries are only ever added behind the last and dropped in front: the ends tell.
  const bool in_place = log_.empty() || (log_.front().entry.index == log_begin() &&
                                         log_.back().entry.index == decided_prefix());
  if (!in_place) return "the log is not contiguous";
  return instances_.check_invariants();
}

std::string SlotLog::describe() const {
  std::string text = "decided=" + to_string(decided_prefix()) + " leader=" + to_string(omega_.leader()) +
                     " queued=" + std::to_string(queue_.size());
  if (!decided_.empty()) text += " behind-a-gap=" + std::to_string(decided_.size());
  if (awaiting_configurations_) text += " awaiting-configurations";
  return text + instances_.describe();
}

namespace {

class Explaining final : public replicated_log::Protocol {
 public:
  Explaining(const replicated_log::Settings& settings, Options options, const AgreementFactory& factory,
             Recovered recovered)
      : log_(std::in_place, settings, options, factory, std::move(recovered)),
        interpreter_(factory(agreement::Settings{.self = settings.self, .members = {}}, {})) {}

  void start(Env& env) override {
    pass([&] { log_.start(env); });
  }
  void step(Env& env, In&& input) override {
    pass([&] { log_.step(env, std::move(input)); });
  }
  std::optional<std::string> check_invariants() const override { return log_.check_invariants(); }
  std::string describe() const override { return log_.describe(); }
  // The messages of the agreement within are told too.
  std::string explain(const Bytes& message) const override {
    const auto decoded = codec::decode<Message>(message);
    const auto* in_slot = decoded ? std::get_if<InSlot>(&*decoded) : nullptr;
    if (!in_slot) return log_.explain(message);
    return "{\"type\":\"InSlot\",\"slot\":" + to_string(in_slot->slot) +
           ",\"message\":" + interpreter_->explain(in_slot->message) + "}";
  }

 private:
  template <class F>
  void pass(F&& act) {
    act();
    for (auto& effect : log_.take()) effects_.push_back(std::move(effect));
  }
  Erased<SlotLog> log_;
  std::unique_ptr<agreement::Protocol> interpreter_;
};

}  // namespace

std::unique_ptr<replicated_log::Protocol> make_slot_log(const replicated_log::Settings& settings,
                                                        Recovered recovered, AgreementFactory factory,
                                                        Options options) {
  return std::make_unique<Explaining>(settings, options, factory, std::move(recovered));
}

// No membership was decided within the last window: that of the state is in force for every slot behind it.
std::vector<Write> begin_with(const SnapshotMeta& state) {
  const ConfigurationsRecord known{state.index, {{Index(), Index(1), state.membership}}};
  return {PutRecord{configurations_key, codec::encode(known)}, SnapshotTaken{state}};
}

}  // namespace quorate::slots
