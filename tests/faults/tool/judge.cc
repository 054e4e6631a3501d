#include "tool/judge.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "check/linearizability.h"

namespace quorate::faults {
namespace {

using check::OpKind;

std::string words(const std::optional<std::string>& value) { return value ? *value : "nothing"; }

const Event* event_of(const Step& step, const std::string& key) {
  const auto found = std::ranges::find(step.events, key, &Event::key);
  return found == step.events.end() ? nullptr : &*found;
}

// What is wrong with an answer that came from the state `store` behind `step`; empty: nothing.
std::string mismatch(const Record& record, const Step* step, const Store& store) {
  const auto& op = record.op;
  const auto at = store.find(op.key);
  const std::optional<std::string> value = at == store.end() ? std::nullopt : std::optional(at->second.value);
  const Event* event = step ? event_of(*step, op.key) : nullptr;
  switch (op.kind) {
    case OpKind::get:
      if (value != op.observed) return fmt::format("there was {}", words(value));
      if (value && at->second.mod != record.mod_revision)
        return fmt::format("its revision was {}", at->second.mod);
      return {};
    case OpKind::put:
    case OpKind::cas:
      if (op.kind == OpKind::cas && !op.succeeded) {
        return value == op.expected ? fmt::format("there was {}", words(value)) : "";
      }
      if (!event || !event->put || event->value != op.argument) return "no such event is in the log";
      return {};
    case OpKind::erase:
      if (!op.succeeded) return value ? fmt::format("there was {}", words(value)) : "";
      return !event || event->put ? "no such event is in the log" : "";
    case OpKind::append: return "not a part of this workload";
  }
  return {};
}

void judge_order(std::span<const Record> records, std::vector<std::string>& violations) {
  std::vector<const Record*> begun;
  for (const auto& record : records) {
    if (record.op.returned && !record.op.stale_allowed) begun.push_back(&record);
  }
  auto ended = begun;
  std::ranges::sort(begun, {}, [](const Record* r) { return r->op.invoked; });
  std::ranges::sort(ended, {}, [](const Record* r) { return *r->op.returned; });
  const Record* newest = nullptr;
  std::size_t at = 0;
  for (const Record* record : begun) {
    for (; at < ended.size() && *ended[at]->op.returned < record->op.invoked; ++at) {
      if (!newest || ended[at]->op.index > newest->op.index) newest = ended[at];
    }
    if (newest && record->op.index < newest->op.index) {
      violations.push_back(fmt::format("stale: {} at revision {}, begun after {} at revision {} had ended",
                                       to_string(record->op), record->op.index, to_string(newest->op),
                                       newest->op.index));
    }
  }
}

void judge_once(std::span<const Step> steps, std::vector<std::string>& violations) {
  std::unordered_map<std::string_view, std::int64_t> written;
  for (const auto& step : steps) {
    for (const auto& event : step.events) {
      if (!event.put || !event.key.starts_with(kRegisters)) continue;
      const auto [first, fresh] = written.try_emplace(event.value, step.revision);
      if (!fresh) {
        violations.push_back(fmt::format("executed twice: {} = {} at revisions {} and {}", event.key,
                                         event.value, first->second, step.revision));
      }
    }
  }
}

// The lowest create revision of the keys under each name of a prefix: who holds the lock, who is elected.
class Holders {
 public:
  explicit Holders(std::string_view prefix) : prefix_(prefix) {}
  void apply(const Event& event) {
    if (!event.key.starts_with(prefix_)) return;
    auto& waiting = names_[name_of(event.key)];
    if (event.put)
      waiting[event.key] = event.create;
    else
      waiting.erase(event.key);
  }
  [[nodiscard]] std::int64_t holder(const std::string& name) const {
    const auto found = names_.find(name);
    if (found == names_.end() || found->second.empty()) return 0;
    return std::ranges::min_element(found->second, {}, [](const auto& each) { return each.second; })->second;
  }
  [[nodiscard]] std::string name_of(const std::string& key) const {
    return key.substr(prefix_.size(), key.find('/', prefix_.size()) - prefix_.size());
  }

 private:
  std::string prefix_;
  std::map<std::string, std::map<std::string, std::int64_t>> names_;
};

void judge_fenced(const Step& step, const Event& event, const Holders& locks,
                  std::map<std::string, std::int64_t>& counts, std::vector<std::string>& violations) {
  const std::string name = event.key.substr(kFenced.size());
  std::int64_t owner = 0;
  std::int64_t count = 0;
  if (std::sscanf(event.value.c_str(), "%ld %ld", &owner, &count) != 2) return;
  if (const auto holder = locks.holder(name); holder != owner) {
    violations.push_back(
        fmt::format("two owners: {} was written at revision {} by owner {}, the lock was held by {}",
                    event.key, step.revision, owner, holder));
  }
  auto [known, fresh] = counts.try_emplace(event.key, count);
  if (!fresh && count != known->second + 1) {
    violations.push_back(fmt::format("lost update: {} went from {} to {} at revision {}", event.key,
                                     known->second, count, step.revision));
  }
  known->second = count;
}

}  // namespace

void apply(const Step& step, Store& store, std::vector<std::string>& violations) {
  for (const auto& event : step.events) {
    const auto at = store.find(event.key);
    if (!event.put) {
      if (at != store.end()) store.erase(at);
      continue;
    }
    const bool known = at != store.end();
    // A key that was there before the run is met in the middle of its life.
    const bool first_seen = !known && event.version > 1;
    const std::int64_t create = known ? at->second.create : first_seen ? event.create : step.revision;
    const std::int64_t version = known ? at->second.version + 1 : first_seen ? event.version : 1;
    if (event.create != create || event.version != version) {
      violations.push_back(
          fmt::format("{} at revision {} has create revision {} and version {}, should have {} and {}",
                      event.key, step.revision, event.create, event.version, create, version));
    }
    store[event.key] = {event.value, event.create, step.revision, event.version, event.lease};
  }
}

std::vector<std::string> judge_answers(std::span<const Step> steps, std::span<const Record> records) {
  std::vector<std::string> violations;
  std::vector<const Record*> known;
  for (const auto& record : records) {
    if (record.op.returned) known.push_back(&record);
  }
  std::ranges::stable_sort(known, {}, [](const Record* r) { return r->op.index; });
  Store store;
  std::size_t at = 0;
  for (const Record* record : known) {
    const auto revision = static_cast<std::int64_t>(record->op.index);
    while (at < steps.size() && steps[at].revision <= revision) apply(steps[at++], store, violations);
    const Step* step = at != 0 && steps[at - 1].revision == revision ? &steps[at - 1] : nullptr;
    if (const auto wrong = mismatch(*record, step, store); !wrong.empty()) {
      violations.push_back(fmt::format("{} at revision {}: {}", to_string(record->op), revision, wrong));
    }
  }
  while (at < steps.size()) apply(steps[at++], store, violations);
  judge_order(records, violations);
  judge_once(steps, violations);
  return violations;
}

std::vector<std::string> judge_linearizable(std::span<const Step> steps, std::span<const Record> records,
                                            std::uint64_t& inconclusive) {
  std::unordered_set<std::string_view> written;
  std::unordered_map<std::string, std::size_t> deleted;
  for (const auto& step : steps) {
    for (const auto& event : step.events) {
      if (event.put)
        written.insert(event.value);
      else
        ++deleted[event.key];
    }
  }
  for (const auto& record : records) {
    if (record.op.kind == OpKind::erase && record.op.returned && record.op.succeeded)
      --deleted[record.op.key];
  }
  std::map<std::string, check::History> keys;
  for (const auto& record : records) {
    const auto& op = record.op;
    if (!op.returned) {
      if (op.kind == OpKind::get) continue;
      if (op.kind == OpKind::erase ? deleted[op.key] == 0 : !written.contains(op.argument)) continue;
    }
    keys[op.key].push_back(op);
  }
  std::vector<std::string> violations;
  for (const auto& [key, history] : keys) {
    const auto finding = check::check_linearizable(history, 2'000'000);
    if (finding.verdict == check::Verdict::violation)
      violations.push_back("not linearizable: " + finding.explanation);
    if (finding.verdict == check::Verdict::timeout) ++inconclusive;
  }
  return violations;
}

std::vector<std::string> judge_owners(std::span<const Step> steps) {
  std::vector<std::string> violations;
  Holders locks{kLocks};
  Holders elections{kElections};
  std::map<std::string, std::int64_t> counts;
  for (const auto& step : steps) {
    for (const auto& event : step.events) {
      if (event.put && event.key.starts_with(kFenced)) judge_fenced(step, event, locks, counts, violations);
      const bool proclaimed = event.put && event.key.starts_with(kElections) && event.version > 1;
      if (proclaimed && elections.holder(elections.name_of(event.key)) != event.create) {
        violations.push_back(fmt::format("two leaders: {} proclaimed at revision {}, elected was revision {}",
                                         event.key, step.revision,
                                         elections.holder(elections.name_of(event.key))));
      }
    }
    for (const auto& event : step.events) {
      locks.apply(event);
      elections.apply(event);
    }
  }
  return violations;
}

std::vector<std::string> judge_leases(std::span<const Step> steps, std::span<const LeaseRecord> leases) {
  std::unordered_map<std::string_view, const LeaseRecord*> by_key;
  for (const auto& lease : leases) by_key[lease.key] = &lease;
  std::vector<std::string> violations;
  for (const auto& step : steps) {
    for (const auto& event : step.events) {
      const auto found = event.put ? by_key.end() : by_key.find(event.key);
      if (found == by_key.end()) continue;
      const auto lived = step.received - found->second->renewed;
      if (lived >= found->second->ttl) continue;
      violations.push_back(fmt::format("{} went {:.3f} s after its lease of {} s was renewed", event.key,
                                       std::chrono::duration<double>(lived).count(),
                                       found->second->ttl.count()));
    }
  }
  return violations;
}

std::vector<std::string> judge_stores(std::span<const Step> steps, std::int64_t revision,
                                      std::string_view prefix, const Stores& stores) {
  Store expected;
  std::vector<std::string> ignored;  // judge_answers tells of them
  for (const auto& step : steps) {
    if (step.revision <= revision) apply(step, expected, ignored);
  }
  std::erase_if(expected, [&](const auto& each) { return !each.first.starts_with(prefix); });
  std::vector<std::string> violations;
  for (const auto& [endpoint, store] : stores) {
    if (!store) {
      violations.push_back(
          fmt::format("{} does not come to revision {}: {}", endpoint, revision, store.error()));
    } else if (*store != expected) {
      violations.push_back(
          fmt::format("{} holds {} keys of the run at revision {}, other than the {} that watches told of",
                      endpoint, store->size(), revision, expected.size()));
    }
  }
  return violations;
}

}  // namespace quorate::faults
