// For tests: a naive model that keeps the whole state of every revision in maps, and random requests for it
// and for the real one.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "models/etcd/store.h"
#include "models/etcd/test_support.h"

namespace quorate::models::etcd::test {

using Keys = std::map<std::string, mvccpb::KeyValue>;

inline bool within(const std::string& key, const std::string& begin, const std::string& end) {
  if (end.empty()) return key == begin;
  return key >= begin && (end == all || key < end);
}

class Reference {
 public:
  std::int64_t revision = 1;
  std::int64_t compacted = 0;
  std::map<std::int64_t, Keys> states{{1, {}}};
  std::map<std::int64_t, std::vector<mvccpb::Event>> events;
  struct Lease {
    std::int64_t ttl = 0;
    int ticks = 0;                       // since it was granted or kept alive
    std::optional<std::int64_t> expiry;  // once its time has begun; in seconds
  };
  std::map<std::int64_t, Lease> leases;
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
    for (auto& [id, lease] : leases) {
      if (++lease.ticks == 2) lease.expiry = now + lease.ttl;
      if (lease.expiry && *lease.expiry <= now) due.emplace_back(*lease.expiry, id);
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

}  // namespace quorate::models::etcd::test
