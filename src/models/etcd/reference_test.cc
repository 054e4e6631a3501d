// Random commands against a naive model that keeps the whole state of every revision in maps: every answer,
// every read of every revision, and every watcher's events must be the same. Beside it: two replicas that
// batch differently and restart at different times have the same answers, digests and rows.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/rng.h"
#include "models/etcd/store.h"
#include "models/etcd/test_support.h"

namespace quorate::models::etcd::test {
namespace {

using Keys = std::map<std::string, mvccpb::KeyValue>;

bool within(const std::string& key, const std::string& begin, const std::string& end) {
  if (end.empty()) return key == begin;
  return key >= begin && (end == all || key < end);
}

class Reference {
 public:
  std::int64_t revision = 1;
  std::int64_t compacted = 0;
  std::map<std::int64_t, Keys> states{{1, {}}};
  std::map<std::int64_t, std::vector<mvccpb::Event>> events;
  std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> leases;  // id -> ttl, expiry in seconds
  std::int64_t now = 0;

  // A command's changes happen on `live`; commit() makes them a revision.
  Keys live;
  std::vector<mvccpb::Event> pending;
  std::int64_t seen() const { return revision + (pending.empty() ? 0 : 1); }
  void commit() {
    if (pending.empty()) return;
    states[++revision] = live;
    events[revision] = std::move(pending);
    pending.clear();
  }

  const Keys& at(std::int64_t wanted) const {
    return wanted <= 0 || wanted == seen() ? live : states.at(wanted);
  }
  Error check(std::int64_t wanted, std::int64_t newest) const {
    if (wanted > newest) return Error::future_revision;
    return wanted > 0 && wanted < compacted ? Error::compacted : Error::none;
  }

  pb::RangeResponse range(const pb::RangeRequest& request) const {
    pb::RangeResponse response;
    std::vector<mvccpb::KeyValue> found;
    for (const auto& [key, kv] : at(request.revision())) {
      if (!within(key, request.key(), request.range_end())) continue;
      response.set_count(response.count() + 1);
      if (request.min_mod_revision() != 0 && kv.mod_revision() < request.min_mod_revision()) continue;
      if (request.max_create_revision() != 0 && kv.create_revision() > request.max_create_revision())
        continue;
      found.push_back(kv);
    }
    if (request.count_only()) return response;
    const auto less = [&](const auto& a, const auto& b) {
      switch (request.sort_target()) {
        case pb::RangeRequest::VERSION: return a.version() < b.version();
        case pb::RangeRequest::CREATE: return a.create_revision() < b.create_revision();
        case pb::RangeRequest::MOD: return a.mod_revision() < b.mod_revision();
        case pb::RangeRequest::VALUE: return a.value() < b.value();
        default: return a.key() < b.key();
      }
    };
    const bool descending = request.sort_order() == pb::RangeRequest::DESCEND;
    std::ranges::sort(found, [&](const auto& a, const auto& b) {
      if (less(a, b) || less(b, a)) return descending ? less(b, a) : less(a, b);
      return a.key() < b.key();
    });
    for (const auto& kv : found) {
      if (request.limit() > 0 && response.kvs_size() == request.limit()) {
        response.set_more(true);
        break;
      }
      *response.add_kvs() = kv;
      if (request.keys_only()) response.mutable_kvs(response.kvs_size() - 1)->clear_value();
    }
    return response;
  }

  void write(const std::string& key, const std::string& value, std::int64_t lease) {
    auto& kv = live[key];
    if (kv.version() == 0) kv.set_create_revision(revision + 1);
    kv.set_key(key);
    kv.set_value(value);
    kv.set_lease(lease);
    kv.set_mod_revision(revision + 1);
    kv.set_version(kv.version() + 1);
    mvccpb::Event event;
    *event.mutable_kv() = kv;
    pending.push_back(event);
  }
  void erase(const std::string& key) {
    mvccpb::Event event;
    event.set_type(mvccpb::Event::DELETE);
    event.mutable_kv()->set_key(key);
    event.mutable_kv()->set_mod_revision(revision + 1);
    pending.push_back(event);
    live.erase(key);
  }

  Error put(const pb::PutRequest& request, pb::PutResponse& response) {
    if (request.lease() != 0 && !leases.contains(request.lease())) return Error::lease_not_found;
    const auto old = live.find(request.key());
    if (old == live.end() && (request.ignore_value() || request.ignore_lease())) return Error::key_not_found;
    if (old != live.end() && request.prev_kv()) *response.mutable_prev_kv() = old->second;
    const std::string value = request.ignore_value() ? old->second.value() : request.value();
    write(request.key(), value, request.ignore_lease() ? old->second.lease() : request.lease());
    return Error::none;
  }
  pb::DeleteRangeResponse del(const pb::DeleteRangeRequest& request) {
    pb::DeleteRangeResponse response;
    const Keys before = live;
    for (const auto& [key, kv] : before) {
      if (!within(key, request.key(), request.range_end())) continue;
      response.set_deleted(response.deleted() + 1);
      if (request.prev_kv()) *response.add_prev_kvs() = kv;
      erase(key);
    }
    return response;
  }
  void revoke(std::int64_t id) {
    const Keys before = live;
    for (const auto& [key, kv] : before) {
      if (kv.lease() == id) erase(key);
    }
    leases.erase(id);
    commit();
  }
  void tick(std::int64_t seconds) {
    now += seconds;
    std::vector<std::pair<std::int64_t, std::int64_t>> due;
    for (const auto& [id, lease] : leases) {
      // In whole seconds: the half one that leases live longer.
      if (lease.second < now) due.emplace_back(lease.second, id);
    }
    std::ranges::sort(due);
    for (const auto& [expiry, id] : due) revoke(id);
  }

  bool holds(const pb::Compare& compare) const {
    const auto relate = [&](const auto& a, const auto& b) {
      switch (compare.result()) {
        case pb::Compare::EQUAL: return a == b;
        case pb::Compare::GREATER: return a > b;
        case pb::Compare::LESS: return a < b;
        default: return a != b;
      }
    };
    const auto one = [&](const mvccpb::KeyValue& kv) {
      switch (compare.target()) {
        case pb::Compare::VERSION: return relate(kv.version(), compare.version());
        case pb::Compare::CREATE: return relate(kv.create_revision(), compare.create_revision());
        case pb::Compare::MOD: return relate(kv.mod_revision(), compare.mod_revision());
        case pb::Compare::LEASE: return relate(kv.lease(), compare.lease());
        default: return relate(kv.value(), compare.value());
      }
    };
    bool any = false;
    for (const auto& [key, kv] : live) {
      if (!within(key, compare.key(), compare.range_end())) continue;
      any = true;
      if (!one(kv)) return false;
    }
    return any || (compare.target() != pb::Compare::VALUE && one({}));
  }
};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : rng(seed) {}
  Rng rng;

  std::string key() {
    static const std::vector<std::string> keys = {
        "a", "b", "ba",   std::string("b\0", 2), std::string("b\0\1", 3), "c",
        "d", "e", "\xff", std::string(1, '\0')};
    return keys[rng.below(keys.size())];
  }
  std::string end() {
    switch (rng.below(5)) {
      case 0: return key();
      case 1: return all;
      default: return {};
    }
  }
  std::int64_t lease() { return rng.below(4) == 0 ? static_cast<std::int64_t>(1 + rng.below(4)) : 0; }
  std::string value() { return std::to_string(rng.below(50)); }

  void fill(pb::PutRequest& put) {
    put.set_key(key());
    put.set_prev_kv(rng.below(2) == 0);
    if (rng.below(6) == 0) {
      put.set_ignore_value(true);
    } else {
      put.set_value(value());
    }
    if (rng.below(6) == 0) {
      put.set_ignore_lease(true);
    } else {
      put.set_lease(lease());
    }
  }
  void fill(pb::DeleteRangeRequest& del) {
    del.set_key(key());
    del.set_range_end(rng.below(3) == 0 ? key() : "");
    del.set_prev_kv(rng.below(2) == 0);
  }
  void fill(pb::RangeRequest& range, std::int64_t newest) {
    range.set_key(key());
    range.set_range_end(end());
    range.set_limit(static_cast<std::int64_t>(rng.below(5)));
    if (rng.below(2) == 0)
      range.set_revision(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(newest) + 2)));
    range.set_sort_order(static_cast<pb::RangeRequest::SortOrder>(rng.below(3)));
    range.set_sort_target(static_cast<pb::RangeRequest::SortTarget>(rng.below(5)));
    range.set_keys_only(rng.below(4) == 0);
    range.set_count_only(rng.below(6) == 0);
    if (rng.below(4) == 0) range.set_min_mod_revision(newest - static_cast<std::int64_t>(rng.below(20)));
    if (rng.below(4) == 0) range.set_max_create_revision(newest - static_cast<std::int64_t>(rng.below(20)));
  }
  void fill(pb::Compare& compare, std::int64_t newest) {
    compare.set_key(key());
    compare.set_range_end(end());
    compare.set_result(static_cast<pb::Compare::CompareResult>(rng.below(4)));
    const auto number = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(newest) + 2));
    switch (rng.below(5)) {
      case 0: return compare.set_target(pb::Compare::VERSION), compare.set_version(number % 3);
      case 1: return compare.set_target(pb::Compare::CREATE), compare.set_create_revision(number);
      case 2: return compare.set_target(pb::Compare::MOD), compare.set_mod_revision(number);
      case 3: return compare.set_target(pb::Compare::LEASE), compare.set_lease(lease());
      default: return compare.set_target(pb::Compare::VALUE), compare.set_value(value());
    }
  }
  // Keys are put at most once and never deleted in the same branch: duplicates have their own tests.
  void fill(pb::TxnRequest& txn, std::int64_t newest, int depth) {
    for (auto n = rng.below(3); n > 0; --n) fill(*txn.add_compare(), newest);
    for (auto* branch : {txn.mutable_success(), txn.mutable_failure()}) {
      for (auto n = rng.below(4); n > 0; --n) {
        auto& op = *branch->Add();
        switch (rng.below(depth > 0 ? 4 : 3)) {
          case 0: fill(*op.mutable_request_put()); break;
          case 1: fill(*op.mutable_request_delete_range()); break;
          case 2: fill(*op.mutable_request_range(), newest); break;
          default: fill(*op.mutable_request_txn(), newest, depth - 1); break;
        }
      }
    }
  }
};

class Against {
 public:
  Against(Reference& reference, Generator& generator) : reference_(reference), generator_(generator) {}

  // A random command, executed by the reference; what it must answer is in `expected`.
  struct Step {
    Bytes command;
    Error error = Error::none;
    std::int64_t revision = 0;
    std::optional<std::string> body;  // not compared where the command failed
  };
  Step step() {
    Step step;
    auto& rng = generator_.rng;
    const auto kind = rng.below(100);
    if (kind < 40) {
      put(step);
    } else if (kind < 50) {
      pb::DeleteRangeRequest request;
      generator_.fill(request);
      step.command = encoded(Op::delete_range, request);
      step.body = reference_.del(request).SerializeAsString();
    } else if (kind < 80) {
      txn(step);
    } else if (kind < 83) {
      compact(step);
    } else {
      lease(step, kind);
    }
    reference_.commit();
    step.revision = reference_.revision;
    return step;
  }

 private:
  void put(Step& step) {
    pb::PutRequest request;
    generator_.fill(request);
    step.command = encoded(Op::put, request);
    pb::PutResponse response;
    step.error = reference_.put(request, response);
    step.body = response.SerializeAsString();
  }

  void compact(Step& step) {
    pb::CompactionRequest request;
    request.set_revision(reference_.revision - static_cast<std::int64_t>(generator_.rng.below(30)));
    step.command = encoded(Op::compact, request);
    if (request.revision() <= reference_.compacted) {
      step.error = Error::compacted;
    } else {
      reference_.compacted = request.revision();
    }
  }

  void lease(Step& step, std::uint64_t kind) {
    const auto id = static_cast<std::int64_t>(1 + generator_.rng.below(4));
    const auto found = reference_.leases.find(id);
    const bool exists = found != reference_.leases.end();
    if (kind < 90) {
      pb::LeaseGrantRequest request;
      request.set_id(id);
      request.set_ttl(static_cast<std::int64_t>(1 + generator_.rng.below(20)));
      step.command = encoded(Op::lease_grant, request);
      step.error = exists ? Error::lease_exists : Error::none;
      if (!exists) reference_.leases[id] = {request.ttl(), reference_.now + request.ttl()};
    } else if (kind < 92) {
      pb::LeaseRevokeRequest request;
      request.set_id(id);
      step.command = encoded(Op::lease_revoke, request);
      step.error = exists ? Error::none : Error::lease_not_found;
      if (exists) reference_.revoke(id);
    } else if (kind < 95) {
      pb::LeaseKeepAliveRequest request;
      request.set_id(id);
      step.command = encoded(Op::lease_keep_alive, request);
      if (exists) found->second.second = reference_.now + found->second.first;
      pb::LeaseKeepAliveResponse response;
      response.set_id(id);
      response.set_ttl(exists ? found->second.first : 0);
      step.body = response.SerializeAsString();
    } else {
      const auto seconds = static_cast<std::int64_t>(generator_.rng.below(4));
      step.command = command(Op::tick, codec::encode(Tick{std::chrono::seconds(seconds)}).view());
      reference_.tick(seconds);
    }
  }

  void txn(Step& step) {
    pb::TxnRequest request;
    generator_.fill(request, reference_.revision, 2);
    step.command = encoded(Op::txn, request);
    std::vector<bool> path;
    decide(request, path);
    std::size_t at = 0;
    step.error = duplicates(request) ? Error::duplicate_key : check(request, path, at);
    if (step.error != Error::none) return;
    pb::TxnResponse response;
    at = 0;
    run(request, path, at, response);
    step.body = response.SerializeAsString();
  }

  void decide(const pb::TxnRequest& request, std::vector<bool>& path) {
    const bool taken =
        std::ranges::all_of(request.compare(), [&](const auto& c) { return reference_.holds(c); });
    path.push_back(taken);
    for (const auto& op : taken ? request.success() : request.failure()) {
      if (op.has_request_txn()) decide(op.request_txn(), path);
    }
  }

  // By brute force: any put against any delete or put that can happen in the same execution, except that, as
  // in etcd, deletes of a nested transaction do not count against puts of one nested before it.
  static bool duplicates(const pb::TxnRequest& request) {
    std::vector<std::string> puts;
    std::vector<std::pair<std::string, std::string>> deletes;
    return clashes(request.success(), puts, deletes) ||
           (puts.clear(), deletes.clear(), clashes(request.failure(), puts, deletes));
  }
  static bool clashes(const google::protobuf::RepeatedPtrField<pb::RequestOp>& ops,
                      std::vector<std::string>& puts,
                      std::vector<std::pair<std::string, std::string>>& deletes) {
    const auto add = [&](const std::string& key) {
      for (const auto& [begin, end] : deletes) {
        if (within(key, begin, end)) return false;
      }
      if (std::ranges::find(puts, key) != puts.end()) return false;
      puts.push_back(key);
      return true;
    };
    for (const auto& op : ops) {
      const auto& del = op.request_delete_range();
      if (op.has_request_delete_range()) deletes.emplace_back(del.key(), del.range_end());
    }
    for (const auto& op : ops) {
      if (!op.has_request_txn()) continue;
      std::vector<std::string> then_puts;
      std::vector<std::string> else_puts;
      std::vector<std::pair<std::string, std::string>> then_deletes;
      std::vector<std::pair<std::string, std::string>> else_deletes;
      if (clashes(op.request_txn().success(), then_puts, then_deletes)) return true;
      if (clashes(op.request_txn().failure(), else_puts, else_deletes)) return true;
      then_puts.insert(then_puts.end(), else_puts.begin(), else_puts.end());
      std::ranges::sort(then_puts);
      then_puts.erase(std::unique(then_puts.begin(), then_puts.end()), then_puts.end());
      for (const auto& key : then_puts) {
        if (!add(key)) return true;
      }
      deletes.insert(deletes.end(), then_deletes.begin(), then_deletes.end());
      deletes.insert(deletes.end(), else_deletes.begin(), else_deletes.end());
    }
    for (const auto& op : ops) {
      if (op.has_request_put() && !add(op.request_put().key())) return true;
    }
    return false;
  }

  Error check(const pb::TxnRequest& request, const std::vector<bool>& path, std::size_t& at) {
    for (const auto& op : path[at++] ? request.success() : request.failure()) {
      Error error = Error::none;
      if (op.has_request_range())
        error = reference_.check(op.request_range().revision(), reference_.revision);
      if (op.has_request_put()) {
        const auto& put = op.request_put();
        if ((put.ignore_value() || put.ignore_lease()) && !reference_.live.contains(put.key())) {
          error = Error::key_not_found;
        } else if (put.lease() != 0 && !reference_.leases.contains(put.lease())) {
          error = Error::lease_not_found;
        }
      }
      if (op.has_request_txn()) error = check(op.request_txn(), path, at);
      if (error != Error::none) return error;
    }
    return Error::none;
  }

  void run(const pb::TxnRequest& request, const std::vector<bool>& path, std::size_t& at,
           pb::TxnResponse& response) {
    const bool taken = path[at++];
    response.set_succeeded(taken);
    for (const auto& op : taken ? request.success() : request.failure()) {
      auto& answer = *response.add_responses();
      if (op.has_request_put()) {
        (void)reference_.put(op.request_put(), *answer.mutable_response_put());
        answer.mutable_response_put()->mutable_header()->set_revision(reference_.seen());
      } else if (op.has_request_delete_range()) {
        *answer.mutable_response_delete_range() = reference_.del(op.request_delete_range());
        answer.mutable_response_delete_range()->mutable_header()->set_revision(reference_.seen());
      } else if (op.has_request_range()) {
        *answer.mutable_response_range() = reference_.range(op.request_range());
        answer.mutable_response_range()->mutable_header()->set_revision(reference_.seen());
      } else {
        answer.mutable_response_txn()->mutable_header();
        run(op.request_txn(), path, at, *answer.mutable_response_txn());
      }
    }
  }

  Reference& reference_;
  Generator& generator_;
};

struct Watcher {
  WatchSpec spec;
  WatchId id = 0;
  std::vector<std::string> seen;
  bool gone = false;
};

void drain(WatchHub& hub, Watcher& watcher, std::size_t max_bytes, bool once) {
  while (!watcher.gone) {
    const WatchBatch batch = hub.poll(watcher.id, max_bytes);
    for (const auto& event : batch.events) watcher.seen.push_back(event.str());
    watcher.gone = batch.compact_revision != 0;
    if (!batch.more || once) return;
  }
}

std::vector<std::string> expected_events(const Reference& reference, const WatchSpec& spec) {
  std::vector<std::string> events;
  for (const auto& [revision, changes] : reference.events) {
    if (revision < spec.start_revision) continue;
    for (auto event : changes) {
      const bool deleted = event.type() == mvccpb::Event::DELETE;
      if (!within(event.kv().key(), spec.key, spec.range_end) || (deleted ? spec.no_delete : spec.no_put))
        continue;
      if (spec.prev_kv && (deleted || event.kv().create_revision() != revision)) {
        const auto& before = reference.states.at(revision - 1);
        if (const auto it = before.find(event.kv().key()); it != before.end())
          *event.mutable_prev_kv() = it->second;
      }
      events.push_back(event.SerializeAsString());
    }
  }
  return events;
}

std::vector<std::string> rows(const storage::Reader& reader) {
  std::vector<std::string> all_rows;
  for (int table = 1; table < 7; ++table) {
    const auto cursor = reader.cursor(static_cast<storage::Table>(table));
    for (cursor->seek({}); cursor->valid(); cursor->next()) {
      all_rows.push_back(std::to_string(table) + std::string(cursor->key()) + "|" +
                         std::string(cursor->value()));
    }
  }
  return all_rows;
}

// What State::live must be, computed anew from the rows.
SetHash hash_of_rows(const storage::Reader& reader) {
  SetHash hash;
  std::string element;
  const auto records = reader.cursor(table::current);
  for (records->seek({}); records->valid(); records->next()) {
    element.clear();
    append_payload(element, false, records->key(), tail_of(records->value()));
    hash.add(element);
  }
  const auto leases = reader.cursor(table::leases);
  for (leases->seek({}); leases->valid(); leases->next()) {
    hash.add("\2" + std::string(leases->key()) + std::string(leases->value()));
  }
  return hash;
}

void expect_same_reads(Replica& store, const Reference& reference, Generator& generator) {
  pb::RangeRequest request;
  generator.fill(request, reference.revision);
  const Result result = store.model().range(request);
  const Error expected = reference.check(request.revision(), reference.revision);
  ASSERT_EQ(result.error, expected);
  ASSERT_EQ(result.revision, reference.revision);
  if (expected != Error::none) return;
  ASSERT_EQ(body_of<pb::RangeResponse>(result).DebugString(), reference.range(request).DebugString())
      << request.DebugString();
}

// Readers see the state of a revision, whole, also while a command is half done.
void expect_whole(Replica& store, const Reference& reference) {
  pb::RangeRequest request;
  request.set_key(all);
  request.set_range_end(all);
  const Result result = store.model().range(request);
  ASSERT_EQ(result.error, Error::none);
  ASSERT_EQ(result.revision, store.model().revision());
  std::string seen;
  std::string expected;
  const auto response = body_of<pb::RangeResponse>(result);
  for (const auto& kv : response.kvs()) seen += kv.ShortDebugString() + "\n";
  for (const auto& [key, kv] : reference.states.at(result.revision)) expected += kv.ShortDebugString() + "\n";
  ASSERT_EQ(seen, expected) << "at revision " << result.revision;
}

class Random : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Random, CommandsAnswerAsTheReferenceDoes) {
  Generator generator(GetParam());
  auto& rng = generator.rng;
  Reference reference;
  Against against(reference, generator);
  Replica store;  // batches, restarts
  Replica other;  // one by one
  std::vector<Watcher> watchers;
  Rng chance(GetParam());
  store.between = [&] {
    expect_whole(store, reference);
    if (!watchers.empty() && chance.below(4) == 0)
      drain(store.model().watches(), watchers[chance.below(watchers.size())], chance.below(300), true);
    if (chance.below(10) != 0) return;
    auto& spec = watchers.emplace_back().spec;
    spec = {.key = generator.key(), .range_end = generator.end()};
    spec.start_revision = store.model().revision() + 1;
    watchers.back().id = store.model().watches().add(spec, [] {});
  };
  other.between = [&] { expect_whole(other, reference); };
  for (int round = 0; round < 400; ++round) {
    store.units = rng.below(2) == 0 ? Pace::unlimited : 1 + rng.below(8);
    other.units = rng.below(2) == 0 ? Pace::unlimited : 1 + rng.below(8);
    std::vector<Against::Step> steps;
    std::vector<Bytes> commands;
    for (auto n = 1 + rng.below(4); n > 0; --n) {
      steps.push_back(against.step());
      commands.push_back(steps.back().command);
    }
    const auto results = store.apply(commands);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      ASSERT_EQ(results[i].error, steps[i].error) << "round " << round;
      ASSERT_EQ(results[i].revision, steps[i].revision);
      if (steps[i].error == Error::none && steps[i].body) {
        ASSERT_EQ(results[i].body.str(), *steps[i].body) << "round " << round;
      }
      ASSERT_EQ(other.apply(commands[i]), results[i]);
    }
    ASSERT_EQ(store.model().digest(), other.model().digest());
    ASSERT_EQ(store.model().statistics().keys, reference.live.size());
    for (int i = 0; i < 3; ++i) expect_same_reads(store, reference, generator);

    if (rng.below(10) == 0) {
      other.reopen();
      ASSERT_EQ(store.model().digest(), other.model().digest());
    }
    if (rng.below(8) == 0) {
      WatchSpec spec{.key = generator.key(), .range_end = generator.end()};
      const auto back = static_cast<std::int64_t>(rng.below(20));
      spec.start_revision = std::max(reference.compacted, reference.revision + 5 - back);
      // Records before the compacted revision are not given: they are left out of this comparison.
      spec.prev_kv = rng.below(2) == 0 && spec.start_revision > reference.compacted;
      spec.no_put = rng.below(6) == 0;
      spec.no_delete = rng.below(6) == 0;
      if (spec.start_revision > 0) {
        watchers.emplace_back().spec = spec;
        watchers.back().id = store.model().watches().add(spec, [] {});
      }
    }
    for (auto& watcher : watchers) {
      if (rng.below(3) == 0) drain(store.model().watches(), watcher, rng.below(300), rng.below(2) == 0);
    }
    // Watchers behind a compaction would end; here they all keep up before the next one.
    for (auto& watcher : watchers) drain(store.model().watches(), watcher, 1 << 20, false);
  }
  EXPECT_EQ(rows(store.engine()), rows(other.engine()));
  EXPECT_EQ(load_state(store.engine()).live, hash_of_rows(store.engine()));
  EXPECT_GT(watchers.size(), 10U);
  EXPECT_GT(store.pauses, 50);
  EXPECT_GT(other.pauses, 50);
  for (auto& watcher : watchers) {
    if (watcher.gone) continue;
    EXPECT_EQ(watcher.seen, expected_events(reference, watcher.spec)) << watcher.spec.key;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Random, testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace quorate::models::etcd::test
