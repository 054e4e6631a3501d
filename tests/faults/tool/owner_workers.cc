#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "api/proto/election.pb.h"
#include "api/proto/lock.pb.h"
#include "tool/judge.h"
#include "tool/workers.h"

namespace quorate::faults {
namespace {

using client::Rpc;
using client::rpc::pb::Compare;

constexpr Rpc<v3lockpb::LockRequest, v3lockpb::LockResponse> kLock{"/v3lockpb.Lock/Lock"};
constexpr Rpc<v3lockpb::UnlockRequest, v3lockpb::UnlockResponse> kUnlock{"/v3lockpb.Lock/Unlock"};
constexpr Rpc<v3electionpb::CampaignRequest, v3electionpb::CampaignResponse> kCampaign{
    "/v3electionpb.Election/Campaign"};
constexpr Rpc<v3electionpb::ProclaimRequest, v3electionpb::ProclaimResponse> kProclaim{
    "/v3electionpb.Election/Proclaim"};
constexpr Rpc<v3electionpb::ResignRequest, v3electionpb::ResignResponse> kResign{
    "/v3electionpb.Election/Resign"};

constexpr std::int64_t kTtl = 6;
constexpr std::chrono::seconds kTimeout{4};

// One lease per turn: whatever became of a failed turn, revoking the lease, or its end, takes it out of the
// queue.
class OwnerWorker : protected Worker {
 public:
  OwnerWorker(Run& run, std::uint64_t number) : Worker(run, number, kTimeout) {}
  virtual ~OwnerWorker() = default;

  void work() {
    while (!ending()) {
      const auto lease = grant(kTtl);
      if (lease == 0) break;
      turn(lease);
      etcdserverpb::LeaseRevokeRequest revoke;
      revoke.set_id(lease);
      (void)call(client::rpc::lease_revoke, revoke);
      rest(std::chrono::milliseconds(20));
    }
  }

 protected:
  virtual void turn(std::int64_t lease) = 0;
};

class LockWorker final : OwnerWorker {
 public:
  using OwnerWorker::OwnerWorker;
  using OwnerWorker::work;

 private:
  void turn(std::int64_t lease) override {
    v3lockpb::LockRequest request;
    const auto name = fmt::format("{}-{}", run_.tag, rng_.below(2));
    request.set_name(std::string(kLocks) + name);
    request.set_lease(lease);
    const auto locked = call(kLock, request);
    if (!locked) return;
    const auto revision = create_revision(locked->key());
    if (revision == 0) return;
    run_.history.count("locks");
    const auto times = rng_.between(1, 5);
    for (std::uint64_t i = 0; i < times && count_up(name, locked->key(), revision); ++i) rest(run_.pause);
    v3lockpb::UnlockRequest unlock;
    unlock.set_key(locked->key());
    if (rng_.chance(0.8)) (void)call(kUnlock, unlock);  // else the lease's end unlocks
  }

  std::int64_t create_revision(const std::string& key) {
    etcdserverpb::RangeRequest request;
    request.set_key(key);
    const auto found = call(client::rpc::range, request);
    return found && found->kvs_size() == 1 ? found->kvs(0).create_revision() : 0;
  }

  // Reads, then writes one more, on condition that the lock is still held.
  bool count_up(const std::string& name, const std::string& lock, std::int64_t revision) {
    const std::string key = std::string(kFenced) + name;
    etcdserverpb::RangeRequest read;
    read.set_key(key);
    const auto found = call(client::rpc::range, read);
    if (!found) return false;
    std::int64_t owner = 0;
    std::int64_t count = 0;
    if (found->kvs_size() == 1) (void)std::sscanf(found->kvs(0).value().c_str(), "%ld %ld", &owner, &count);
    etcdserverpb::TxnRequest write;
    auto& held = *write.add_compare();
    held.set_key(lock);
    held.set_target(Compare::CREATE);
    held.set_create_revision(revision);
    auto& put = *write.add_success()->mutable_request_put();
    put.set_key(key);
    put.set_value(fmt::format("{} {}", revision, count + 1));
    const auto done = call(client::rpc::txn, write);
    if (done) run_.history.count(done->succeeded() ? "fenced writes" : "fenced writes refused");
    return done && done->succeeded();
  }
};

class ElectionWorker final : OwnerWorker {
 public:
  using OwnerWorker::OwnerWorker;
  using OwnerWorker::work;

 private:
  void turn(std::int64_t lease) override {
    v3electionpb::CampaignRequest campaign;
    campaign.set_name(std::string(kElections) + run_.tag);
    campaign.set_lease(lease);
    campaign.set_value("elected");
    const auto won = call(kCampaign, campaign);
    if (!won) return;
    run_.history.count("elections");
    v3electionpb::ProclaimRequest proclaim;
    *proclaim.mutable_leader() = won->leader();
    const auto times = rng_.between(1, 5);
    for (std::uint64_t i = 0; i < times; ++i) {
      proclaim.set_value(std::to_string(i));
      if (!call(kProclaim, proclaim)) break;
      run_.history.count("proclamations");
      rest(run_.pause);
    }
    v3electionpb::ResignRequest resign;
    *resign.mutable_leader() = won->leader();
    (void)call(kResign, resign);
  }
};

class LeaseWorker : Worker {
 public:
  LeaseWorker(Run& run, std::uint64_t number) : Worker(run, number, std::chrono::seconds(2)) {}

  void work() {
    for (std::uint64_t i = 0; !ending(); ++i) {
      LeaseRecord record;
      record.key = fmt::format("{}{}/{}-{}", kLeased, run_.tag, number_, i);
      record.ttl = std::chrono::seconds(rng_.between(2, 4));
      record.renewed = client::Clock::now();
      const auto lease = grant(record.ttl.count());
      etcdserverpb::PutRequest request;
      request.set_key(record.key);
      request.set_value("leased");
      request.set_lease(lease);
      if (lease == 0 || !call(client::rpc::put, request)) continue;
      for (auto renewals = rng_.below(3); renewals > 0 && !ending(); --renewals) {
        rest(std::chrono::milliseconds(record.ttl) / 2);
        const auto sent = client::Clock::now();
        if (renew(lease)) record.renewed = sent;
      }
      run_.history.add(std::move(record));
      run_.history.count("leases left alone");
      rest(std::chrono::milliseconds(100));
    }
  }
};

class Compactor : Worker {
 public:
  explicit Compactor(Run& run) : Worker(run, 0, std::chrono::seconds(2)) {}

  void work(const std::vector<std::unique_ptr<Watcher>>& watchers) {
    constexpr std::int64_t kept = 500;
    std::int64_t compacted = 0;
    while (!ending()) {
      rest(std::chrono::seconds(1));
      std::int64_t slowest = INT64_MAX;
      for (const auto& watcher : watchers) slowest = std::min(slowest, watcher->next() - kept);
      if (slowest <= compacted) continue;
      etcdserverpb::CompactionRequest request;
      request.set_revision(slowest);
      if (!call(client::rpc::compact, request)) continue;
      compacted = slowest;
      run_.history.count("compactions");
    }
  }
};

}  // namespace

void run_lock_worker(Run& run, std::uint64_t number) { LockWorker(run, number).work(); }
void run_election_worker(Run& run, std::uint64_t number) { ElectionWorker(run, number).work(); }
void run_lease_worker(Run& run, std::uint64_t number) { LeaseWorker(run, number).work(); }

void run_compactor(Run& run, const std::vector<std::unique_ptr<Watcher>>& watchers) {
  Compactor(run).work(watchers);
}

}  // namespace quorate::faults
