#include "models/etcd/leases.h"

#include <algorithm>
#include <limits>

#include "core/codec.h"

namespace quorate::models::etcd {

namespace {

// Never wraps: a lease of nearly three centuries ends with the clock.
Duration end_of(Duration log_time, std::int64_t ttl) {
  const Duration length = std::chrono::seconds(ttl);
  return length > Duration::max() - log_time ? Duration::max() : log_time + length;
}

std::string element(std::int64_t id, const LeaseRecord& lease) {
  return kind::lease + lease_key(id) + codec::encode(lease).str();
}

}  // namespace

void Leases::load(const storage::Reader& reader) {
  by_id_.clear();
  by_expiry_.clear();
  by_begin_.clear();
  const auto cursor = reader.cursor(table::leases);
  for (cursor->seek({}); cursor->valid(); cursor->next()) {
    const auto lease = codec::decode<LeaseRecord>(Bytes::copy(cursor->value()));
    if (!lease) continue;
    const std::int64_t id = lease_of(cursor->key());
    index(id, *lease);
  }
}

void Leases::index(std::int64_t id, const LeaseRecord& lease) {
  by_id_.emplace(id, lease);
  if (lease.begins_with == 0) {
    by_expiry_.emplace(lease.expiry, id);
  } else {
    by_begin_.emplace(lease.begins_with, id);
  }
}

const LeaseRecord* Leases::find(std::int64_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &it->second;
}

std::vector<std::int64_t> Leases::by_end(Duration log_time) const {
  auto ends = by_expiry_;
  for (const auto& [tick, id] : by_begin_) ends.emplace(end_of(log_time, by_id_.at(id).ttl), id);
  std::vector<std::int64_t> ids;
  for (const auto& [end, id] : ends) ids.push_back(id);
  return ids;
}

std::int64_t Leases::seconds_left(const LeaseRecord& lease, Duration log_time) {
  if (lease.begins_with != 0) return lease.ttl;
  const auto left = std::chrono::floor<std::chrono::seconds>(lease.expiry - log_time);
  return std::max<std::int64_t>(0, left.count());
}

std::vector<std::int64_t> Leases::expired(Duration log_time, std::size_t limit) const {
  std::vector<std::int64_t> due;
  for (const auto& [expiry, id] : by_expiry_) {
    if (expiry > log_time || due.size() == limit) break;
    due.push_back(id);
  }
  return due;
}

void Leases::forget(std::int64_t id, State& state) {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return;
  const LeaseRecord& lease = it->second;
  state.live.remove(element(id, lease));
  by_expiry_.erase({lease.expiry, id});
  by_begin_.erase({lease.begins_with, id});
  by_id_.erase(it);
}

void Leases::write(std::int64_t id, const LeaseRecord& lease, State& state, storage::Transaction& txn) {
  forget(id, state);
  index(id, lease);
  state.live.add(element(id, lease));
  txn.put(table::leases, lease_key(id), codec::encode(lease).str());
}

void Leases::set(std::int64_t id, std::int64_t ttl, State& state, storage::Transaction& txn) {
  write(id, {.ttl = ttl, .begins_with = state.ticks + 2}, state, txn);
}

bool Leases::begin_next(State& state, storage::Transaction& txn) {
  if (by_begin_.empty() || by_begin_.begin()->first > state.ticks) return false;
  const std::int64_t id = by_begin_.begin()->second;
  const std::int64_t ttl = by_id_.at(id).ttl;
  write(id, {.ttl = ttl, .expiry = end_of(state.log_time, ttl)}, state, txn);
  return true;
}

void Leases::remove(std::int64_t id, State& state, storage::Transaction& txn) {
  forget(id, state);
  txn.erase(table::leases, lease_key(id));
}

std::vector<std::string> attached_keys(const storage::Reader& reader, std::int64_t lease) {
  return attached_keys(reader, lease, {}, SIZE_MAX);
}

std::vector<std::string> attached_keys(const storage::Reader& reader, std::int64_t lease,
                                       std::string_view after, std::size_t limit) {
  std::vector<std::string> keys;
  const std::string prefix = lease_key(lease);
  const auto cursor = reader.cursor(table::attached);
  // No key is empty, and nothing lies between a key and the same with a 0 behind it.
  cursor->seek(prefix + std::string(after) + '\0');
  for (; cursor->valid() && cursor->key().starts_with(prefix) && keys.size() < limit; cursor->next())
    keys.emplace_back(cursor->key().substr(prefix.size()));
  return keys;
}

}  // namespace quorate::models::etcd
