#include "replog/slots/instances.h"

#include <charconv>

namespace quorate::slots {
namespace {

constexpr std::string_view prefix = "slot/";

RecordKey key_of(Index slot, const RecordKey& key) {
  return std::string(prefix) + std::to_string(slot.value) + "/" + key;
}

std::optional<std::pair<Index, RecordKey>> parse(const RecordKey& key) {
  if (!key.starts_with(prefix)) return std::nullopt;
  std::uint64_t slot = 0;
  const char* end = key.data() + key.size();
  const auto [at, error] = std::from_chars(key.data() + prefix.size(), end, slot);
  if (error != std::errc() || at == end || *at != '/') return std::nullopt;
  return std::pair(Index(slot), RecordKey(at + 1, end));
}

}  // namespace

Instances::Instances(AgreementFactory factory, NodeId self, Duration round_trip,
                     std::map<RecordKey, Bytes>& records)
    : factory_(std::move(factory)), self_(self), round_trip_(round_trip) {
  std::erase_if(records, [this](auto& record) {
    auto own = parse(record.first);
    if (own) recovered_[own->first][own->second] = record.second;
    return own.has_value();
  });
}

std::vector<Index> Instances::recovered() const {
  std::vector<Index> found;
  for (const auto& [slot, records] : recovered_) found.push_back(slot);
  return found;
}

void Instances::open(Env& env, Index slot, std::vector<NodeId> members, Out& out) {
  if (slots_.contains(slot)) return;
  auto& instance = slots_[slot];
  Recovered recovered;
  if (auto node = recovered_.extract(slot)) recovered.records = std::move(node.mapped());
  for (const auto& [key, value] : recovered.records) instance.records.insert(key);
  const agreement::Settings settings{.self = self_, .members = std::move(members), .round_trip = round_trip_};
  instance.protocol = factory_(settings, std::move(recovered));
  check(slot, instance);
  if (!damage_) damage_ = broken_;
  instance.protocol->start(env);
  translate(slot, instance, out);
}

void Instances::step(Env& env, Index slot, agreement::Protocol::In input, Out& out) {
  const auto it = slots_.find(slot);
  if (it == slots_.end()) return;
  it->second.protocol->step(env, std::move(input));
  check(slot, it->second);
  translate(slot, it->second, out);
}

void Instances::propose(Env& env, Index slot, Bytes value, Out& out) {
  step(env, slot, Ask<agreement::Request>{agreement::Propose{std::move(value)}}, out);
}

void Instances::receive(Env& env, Index slot, NodeId from, Bytes message, Out& out) {
  step(env, slot, Receive<Bytes>{from, std::move(message)}, out);
}

void Instances::timer(Env& env, TimerId id, Out& out) {
  const Index slot(id.value / first_timer);
  const TimerId inner(id.value % first_timer);
  const auto it = slots_.find(slot);
  if (it == slots_.end() || it->second.timers.erase(inner) == 0) return;
  step(env, slot, TimerFired{inner}, out);
}

void Instances::persisted(Env& env, Ticket upto, Out& out) {
  while (!durable_next_.empty() && durable_next_.front().first <= upto) {
    const Index slot = durable_next_.front().second;
    durable_next_.pop_front();
    const auto it = slots_.find(slot);
    if (it == slots_.end()) continue;
    auto& instance = it->second;
    Ticket inner;
    while (!instance.tickets.empty() && instance.tickets.front().second <= upto) {
      inner = instance.tickets.front().first;
      instance.tickets.pop_front();
    }
    std::erase_if(instance.held, [&](auto& held) {
      if (held.first > upto) return false;
      decisions_.push_back({slot, std::move(held.second)});
      return true;
    });
    if (!inner.none()) step(env, slot, Persisted{inner}, out);
  }
}

void Instances::translate(Index slot, Instance& instance, Out& out) {
  const auto outer = [&](Ticket after) {
    for (const auto& [inner, ticket] : instance.tickets) {
      if (inner == after) return ticket;
    }
    return Ticket();  // durable already
  };
  const auto timer = [&](TimerId id) { return TimerId(slot.value * first_timer + id.value); };
  for (auto& effect : instance.protocol->take()) {
    if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
      out.send(send->to, InSlot{slot, std::move(send->message)}, outer(send->after));
    } else if (auto* persist = std::get_if<Persist>(&effect)) {
      std::vector<Write> writes;
      for (auto& write : persist->writes) {
        auto* record = std::get_if<PutRecord>(&write);
        if (!record) continue;  // an agreement keeps records; the log is not its business
        instance.records.insert(record->key);
        writes.emplace_back(PutRecord{key_of(slot, record->key), std::move(record->value)});
      }
      const Ticket ticket = out.persist(std::move(writes));
      instance.tickets.emplace_back(persist->ticket, ticket);
      durable_next_.emplace_back(ticket, slot);
    } else if (auto* set = std::get_if<SetTimer>(&effect)) {
      instance.timers.insert(set->id);
      out.set_timer(timer(set->id), set->at);
    } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
      if (instance.timers.erase(cancel->id) != 0) out.cancel_timer(timer(cancel->id));
    } else if (auto* emit = std::get_if<Emit<agreement::Event>>(&effect)) {
      auto& value = std::get<agreement::Decided>(emit->event).value;
      if (const Ticket after = outer(emit->after); after.none()) {
        decisions_.push_back({slot, std::move(value)});
      } else {
        instance.held.emplace_back(after, std::move(value));
      }
    }
  }
}

std::vector<Write> Instances::erase(Index slot, Out& out) {
  std::vector<Write> writes;
  if (const auto it = slots_.find(slot); it != slots_.end()) {
    for (const TimerId id : it->second.timers) out.cancel_timer(TimerId(slot.value * first_timer + id.value));
    for (const auto& key : it->second.records) writes.emplace_back(PutRecord{key_of(slot, key), {}});
    slots_.erase(it);
  }
  if (const auto it = recovered_.find(slot); it != recovered_.end()) {
    for (const auto& [key, value] : it->second) writes.emplace_back(PutRecord{key_of(slot, key), {}});
    recovered_.erase(it);
  }
  return writes;
}

std::vector<Write> Instances::erase_upto(Index last, Out& out) {
  std::vector<Write> writes;
  const auto end = [&](const auto& slots) {
    while (!slots.empty() && slots.begin()->first <= last) {
      for (auto& write : erase(slots.begin()->first, out)) writes.push_back(std::move(write));
    }
  };
  end(slots_);
  end(recovered_);
  return writes;
}

void Instances::check(Index slot, const Instance& instance) {
  if (broken_) return;
  if (auto broken = instance.protocol->check_invariants())
    broken_ = "slot " + to_string(slot) + ": " + *broken;
}

std::string Instances::describe() const {
  std::string text;
  for (const auto& [slot, instance] : slots_)
    text += " [" + to_string(slot) + " " + instance.protocol->describe() + "]";
  return text;
}

}  // namespace quorate::slots
