#include "sim/etcd_chronicle.h"

#include <algorithm>

#include <xxhash.h>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"

namespace quorate::sim {

namespace {

namespace etcd = models::etcd;
namespace pb = etcdserverpb;

constexpr std::int64_t shortest_ttl = 1;  // seconds; a lease asked for with less gets this

template <class Message>
Message parse(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) message.Clear();
  return message;
}

std::uint64_t hash_of(const Bytes& bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace

std::vector<EtcdChronicle::Expiry> EtcdChronicle::committed(const replica::Command& command, Index index,
                                                            Moment now) {
  std::vector<Expiry> expired;
  if (command.body.empty()) return expired;
  execute(command, now, expired);
  places_.try_emplace(hash_of(command.body), Place{index, revision()});
  return expired;
}

void EtcdChronicle::execute(const replica::Command& command, Moment now, std::vector<Expiry>& expired) {
  const std::string_view request = command.body.view().substr(1);
  switch (static_cast<etcd::Op>(command.body.data()[0])) {
    case etcd::Op::put: {
      const auto put = parse<pb::PutRequest>(request);
      if (put.lease() == 0 || leases_.contains(put.lease())) this->put(put.key(), put.value(), put.lease());
      return;
    }
    case etcd::Op::txn: {  // of the workload's: one comparison, one put
      const auto txn = parse<pb::TxnRequest>(request);
      const auto& compare = txn.compare(0);
      const auto key = keys_.find(compare.key());
      const bool there = key != keys_.end() && key->second.there();
      const bool holds = compare.target() == pb::Compare::VALUE
                             ? there && *key->second.values.back().second == compare.value()
                             : !there;
      const auto& put = txn.success(0).request_put();
      if (holds) this->put(put.key(), put.value(), 0);
      return;
    }
    case etcd::Op::delete_range: {
      const auto del = parse<pb::DeleteRangeRequest>(request);
      std::vector<Change> changes;
      const auto end = keys_.lower_bound(del.range_end());
      for (auto at = keys_.lower_bound(del.key()); del.key() < del.range_end() && at != end; ++at) {
        if (at->second.there()) changes.push_back({at->first, std::nullopt});
      }
      return erase(std::move(changes));
    }
    case etcd::Op::compact: {
      const auto wanted = parse<pb::CompactionRequest>(request).revision();
      if (wanted > compacted_ && wanted <= revision()) compacted_ = wanted;
      return;
    }
    case etcd::Op::lease_grant: {
      const auto grant = parse<pb::LeaseGrantRequest>(request);
      const auto ttl = std::max(grant.ttl(), shortest_ttl);
      leases_.try_emplace(grant.id(), Lease{.ttl = ttl, .since = now});
      return;
    }
    case etcd::Op::lease_keep_alive: {
      const auto at = leases_.find(parse<pb::LeaseKeepAliveRequest>(request).id());
      if (at == leases_.end()) return;
      at->second.since = now;
      at->second.ticks = 0;
      at->second.expiry.reset();
      return;
    }
    case etcd::Op::lease_revoke: {
      const auto id = parse<pb::LeaseRevokeRequest>(request).id();
      if (leases_.contains(id)) end_lease(id);
      return;
    }
    case etcd::Op::tick: {
      const auto tick = codec::decode<etcd::Tick>(Bytes::copy(request));
      if (tick && tick->behind == ticks_) this->tick(*tick, now, expired);
      return;
    }
    case etcd::Op::alarm:
    case etcd::Op::publish: return;
  }
}

void EtcdChronicle::tick(const etcd::Tick& tick, Moment now, std::vector<Expiry>& expired) {
  const bool same = tick.now.node == last_tick_.node && tick.now.incarnation == last_tick_.incarnation;
  if (same) log_time_ += std::min(tick.now.shown - last_tick_.shown, etcd::longest_tick);
  last_tick_ = tick.now;
  ++ticks_;
  constexpr Duration close = etcd::longest_tick * 3 / 4;
  if (!same || now - ticked_[1] > close) steady_since_ = now;
  std::vector<std::pair<Duration, std::int64_t>> due;
  for (auto& [id, lease] : leases_) {
    if (++lease.ticks == 2) {
      lease.expiry = log_time_ + std::chrono::seconds(lease.ttl);
      lease.begun = now;
    }
    if (lease.expiry && *lease.expiry <= log_time_) due.emplace_back(*lease.expiry, id);
  }
  std::ranges::sort(due);
  for (const auto& [expiry, id] : due) {
    const Lease& lease = leases_.at(id);
    expired.push_back({id, lease.ttl, lease.since});
    end_lease(id);
  }
  ticked_[1] = std::exchange(ticked_[0], now);
}

std::vector<EtcdChronicle::Expiry> EtcdChronicle::overdue(std::int64_t drift_ppm) const {
  std::vector<Expiry> overdue;
  for (const auto& [id, lease] : leases_) {
    if (!lease.expiry) continue;
    const Duration counted = ticked_[1] - std::max(lease.begun, steady_since_);
    if (counted - counted / 1'000'000 * drift_ppm >= std::chrono::seconds(lease.ttl))
      overdue.push_back({id, lease.ttl, lease.since});
  }
  return overdue;
}

void EtcdChronicle::put(const std::string& key, const std::string& value, std::int64_t lease) {
  next_revision({{key, value}});
  Key& row = keys_[key];
  if (row.lease != 0) leases_.at(row.lease).keys.erase(key);
  row.lease = lease;
  if (lease != 0) leases_.at(lease).keys.insert(key);
  row.values.emplace_back(revision(), value);
}

// All in one revision.
void EtcdChronicle::erase(std::vector<Change> changes) {
  if (changes.empty()) return;
  next_revision(changes);
  for (const Change& change : changes) erase(change.key);
}

// In the revision that is current.
void EtcdChronicle::erase(const std::string& key) {
  Key& row = keys_.at(key);
  if (row.lease != 0) leases_.at(row.lease).keys.erase(key);
  row.lease = 0;
  row.values.emplace_back(revision(), std::nullopt);
}

void EtcdChronicle::end_lease(std::int64_t id) {
  const auto keys = leases_.at(id).keys;
  std::vector<Change> changes;
  for (const auto& key : keys) changes.push_back({key, std::nullopt});
  erase(std::move(changes));
  leases_.erase(id);
}

std::optional<std::string> EtcdChronicle::value_at(const std::string& key, std::int64_t revision) const {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return std::nullopt;
  const auto& values = at->second.values;
  const auto later = std::ranges::upper_bound(values, revision, {}, [](const auto& v) { return v.first; });
  return later == values.begin() ? std::nullopt : std::prev(later)->second;
}

std::optional<EtcdChronicle::Place> EtcdChronicle::place_of(const Bytes& command) const {
  const auto at = places_.find(hash_of(command));
  return at == places_.end() ? std::nullopt : std::optional(at->second);
}

}  // namespace quorate::sim
