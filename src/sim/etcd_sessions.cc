#include "sim/etcd_sessions.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/proto/rpc.pb.h"
#include "check/session.h"
#include "core/codec.h"
#include "sim/draw.h"

namespace quorate::sim {

namespace {

namespace etcd = models::etcd;
namespace pb = etcdserverpb;

constexpr Duration think = 15ms;
constexpr std::uint64_t own_keys = 4;
const std::string everything(1, '\0');

}  // namespace

EtcdSessions::EtcdSessions(Stage& stage, Rng rng, std::uint32_t count, Pick pick)
    : stage_(&stage), pick_(std::move(pick)) {
  for (std::uint32_t i = 0; i < count; ++i) sessions_.push_back({.rng = rng.fork()});
}

void EtcdSessions::begin() {
  for (std::uint32_t i = 0; i < sessions_.size(); ++i)
    stage_->queue.push(stage_->now, {EventKind::companion, 0, 0, i, {}});
}

etcd::EtcdModel& EtcdSessions::model_of(const Session& session) {
  return static_cast<etcd::EtcdModel&>(session.node->replica().model());
}

bool EtcdSessions::attached(const Session& session) {
  return session.node != nullptr && session.node->up() && session.node->process() == session.process;
}

void EtcdSessions::wake(std::uint32_t number) {
  Session& session = sessions_[number];
  if (!stopped_)
    stage_->queue.push(stage_->now + exponential(session.rng, think),
                       {EventKind::companion, 0, 0, number, {}});
  if (!attached(session)) {
    attach(session, pick_(session.rng));
  } else if (!session.node->paused() && !session.node->halted()) {
    const std::uint64_t choice = session.rng.below(100);
    if (stopped_ || choice < 55) {
      poll(session);
    } else if (choice < 60) {
      detach(session);
    } else if (session.busy) {  // a client has one request at a time, beside its watch
      return;
    } else if (choice < 72) {
      read(session);
    } else {
      write(number);
    }
  }
}

// A watch goes on where it was at another node, or begins: now, or with some history.
void EtcdSessions::attach(Session& session, Node* node) {
  session.node = nullptr;
  if (node == nullptr || !node->up() || node->halted() || node->paused()) return;
  session.node = node;
  session.process = node->process();
  session.client = ++clients_;
  auto& model = model_of(session);
  if (session.next == 0 || session.rng.chance(0.2)) {
    const bool one = session.rng.chance(0.4);
    session.key = one ? fmt::format("w{}", session.rng.below(own_keys)) : everything;
    session.range_end = one ? "" : everything;
    session.next = model.revision() + 1;
    if (session.rng.chance(0.5))
      session.next =
          static_cast<std::int64_t>(session.rng.between(1, static_cast<std::uint64_t>(session.next)));
  }
  session.watch = model.watches().add(
      {.key = session.key, .range_end = session.range_end, .start_revision = session.next}, [] {});
}

// Who comes while a command is half done must be told of the whole of it, even where nobody watched before.
void EtcdSessions::half_done(Node& node) {
  Session& session = sessions_.front();
  if (stopped_ || node.paused() || node.halted() || !session.rng.chance(0.8)) return;
  auto& model = static_cast<etcd::EtcdModel&>(node.replica().model());
  if (model.watches().size() != 0) return;
  if (attached(session)) detach(session);
  session.next = 0;
  attach(session, &node);
}

void EtcdSessions::detach(Session& session) {
  model_of(session).watches().remove(session.watch);
  session.node = nullptr;
}

void EtcdSessions::poll(Session& session) {
  const auto batch = model_of(session).watches().poll(session.watch, session.rng.between(1, 400));
  if (batch.compact_revision != 0) {
    if (session.next >= chronicle_.compacted())
      fail("watch", fmt::format("node {} says revision {} is compacted, the compaction was at {}",
                                session.node->id().value, session.next, chronicle_.compacted()));
    session.next = batch.compact_revision;
    session.node = nullptr;
    return;
  }
  judge(session, batch);
  session.next = std::max(session.next, batch.revision + 1);
}

void EtcdSessions::judge(const Session& session, const etcd::WatchBatch& batch) {
  const auto where = [&] { return fmt::format("a watch at node {}", session.node->id().value); };
  if (batch.revision > chronicle_.revision())
    return fail("watch", fmt::format("{} tells of revision {}, the store is at {}", where(), batch.revision,
                                     chronicle_.revision()));
  std::size_t told = 0;
  for (std::int64_t revision = session.next; revision <= batch.revision; ++revision) {
    for (const auto& change : chronicle_.changes(revision)) {
      if (!session.range_end.empty() ? change.key < session.key : change.key != session.key) continue;
      mvccpb::Event event;
      const bool there =
          told < batch.events.size() && batch.revisions[told] == revision &&
          event.ParseFromArray(batch.events[told].data(), static_cast<int>(batch.events[told].size()));
      const bool same = there && event.kv().key() == change.key && event.kv().mod_revision() == revision &&
                        (event.type() == mvccpb::Event::DELETE) == !change.value &&
                        event.kv().value() == change.value.value_or("");
      if (!same)
        return fail("watch", fmt::format("{} does not tell the change of '{}' at revision {}", where(),
                                         change.key, revision));
      ++told;
    }
  }
  if (told != batch.events.size())
    fail("watch", fmt::format("{} tells {} at revision {} beyond what happened from {} on", where(),
                              batch.events.size() - told, batch.revisions[told], session.next));
}

void EtcdSessions::read(Session& session) {
  check::Operation op{.client = session.client};
  op.key = fmt::format("w{}", session.rng.below(own_keys));
  op.invoked = ++position_;
  pb::RangeRequest range;
  range.set_key(op.key);
  range.set_serializable(true);
  const auto result = model_of(session).range(range);
  pb::RangeResponse response;
  if (!response.ParseFromArray(result.body.data(), static_cast<int>(result.body.size()))) response.Clear();
  if (response.kvs_size() == 1) op.observed = response.kvs(0).value();
  op.returned = ++position_;
  op.index = session.node->replica().applied().value;
  op.stale_allowed = true;
  if (result.revision > chronicle_.revision() || op.observed != chronicle_.value_at(op.key, result.revision))
    fail("serializable read", fmt::format("node {} reads '{}' as {} at revision {}", session.node->id().value,
                                          op.key, op.observed.value_or("absent"), result.revision));
  history_.push_back(std::move(op));
}

Bytes EtcdSessions::draw(Session& session) {
  Rng& rng = session.rng;
  const auto lease = [&] {
    return leases_ == 0 ? 0
                        : static_cast<std::int64_t>(
                              rng.between(leases_ > 3 ? static_cast<std::uint64_t>(leases_ - 3) : 1,
                                          static_cast<std::uint64_t>(leases_)));
  };
  const std::uint64_t choice = rng.below(100);
  if (choice < 45) {
    pb::PutRequest put;
    put.set_key(fmt::format("w{}", rng.below(own_keys)));
    put.set_value(fmt::format("v{}", ++values_));
    if (rng.chance(0.6)) put.set_lease(lease());
    // One that nobody else writes lives as long as its lease, and several leases may end at once.
    if (rng.chance(0.6) && put.lease() != 0) put.set_key(fmt::format("l{}", put.lease()));
    return etcd::command(etcd::Op::put, put.SerializeAsString());
  }
  if (choice < 65) {
    pb::LeaseGrantRequest grant;
    grant.set_id(++leases_);
    grant.set_ttl(static_cast<std::int64_t>(rng.between(0, 3)));
    return etcd::command(etcd::Op::lease_grant, grant.SerializeAsString());
  }
  if (choice < 85) {
    pb::LeaseKeepAliveRequest alive;
    alive.set_id(lease());
    return etcd::command(etcd::Op::lease_keep_alive, alive.SerializeAsString());
  }
  if (choice < 88) {
    pb::DeleteRangeRequest del;
    del.set_key("w");
    del.set_range_end(rng.chance(0.5) ? "x" : fmt::format("w{}", rng.below(own_keys)));
    return etcd::command(etcd::Op::delete_range, del.SerializeAsString());
  }
  if (choice < 92) {
    pb::LeaseRevokeRequest revoke;
    revoke.set_id(lease());
    return etcd::command(etcd::Op::lease_revoke, revoke.SerializeAsString());
  }
  pb::CompactionRequest compact;
  const std::int64_t now = model_of(session).revision();
  compact.set_revision(now - static_cast<std::int64_t>(rng.below(10)));
  return etcd::command(etcd::Op::compact, compact.SerializeAsString());
}

void EtcdSessions::write(std::uint32_t number) {
  Session& session = sessions_[number];
  session.busy = true;
  ++open_;
  const Bytes command = draw(session);
  check::Operation op{.client = session.client, .kind = check::OpKind::put, .invoked = ++position_};
  Env env = session.node->env();
  Node& node = *session.node;
  node.replica().propose(env, command, [this, number, command, op](replica::Outcome<Bytes> outcome) {
    sessions_[number].busy = false;
    --open_;
    if (!outcome) return;
    answered(command, *outcome);
    if (command.data()[0] == static_cast<char>(etcd::Op::put)) settle(op, command);
  });
  if (!node.up()) return;
  node.gather();
  node.settle();
}

void EtcdSessions::settle(const check::Operation& put, const Bytes& command) {
  const auto place = chronicle_.place_of(command);
  if (!place) return;
  history_.push_back(put);
  history_.back().returned = ++position_;
  history_.back().index = place->index.value;
}

void EtcdSessions::committed(const replica::Command& command, Index index) {
  const auto drift = stage_->tuning.drift_ppm;
  const auto told = [&](const EtcdChronicle::Expiry& lease, const char* what) {
    fail("lease",
         fmt::format("at index {} lease {} of {} s {} {} ms after it was granted or kept alive", index.value,
                     lease.id, lease.ttl, what, (stage_->now - lease.since).count() / 1'000'000));
  };
  for (const auto& expiry : chronicle_.committed(command, index, stage_->now)) {
    const Duration lasted = stage_->now - expiry.since;
    if (lasted + lasted / 1'000'000 * drift < std::chrono::seconds(expiry.ttl)) told(expiry, "ended");
  }
  for (const auto& lease : chronicle_.overdue(drift)) told(lease, "has not ended");
}

void EtcdSessions::answered(const Bytes& command, const Bytes& result) {
  const auto op = static_cast<etcd::Op>(command.data()[0]);
  if (op != etcd::Op::put && op != etcd::Op::txn) return;  // the others are not unlike each other
  const auto place = chronicle_.place_of(command);
  const auto decoded = codec::decode<etcd::Result>(result);
  if (!place || !decoded || decoded->revision == place->revision) return;
  fail("revision", fmt::format("the command of index {} was told revision {} instead of {}",
                               place->index.value, decoded->revision, place->revision));
}

void EtcdSessions::final_checks() {
  for (Session& session : sessions_) {
    if (!attached(session)) continue;
    constexpr int enough = 10'000;
    for (int i = 0; i < enough && session.node != nullptr; ++i) {
      if (session.next > model_of(session).revision()) break;
      poll(session);
    }
    if (session.node != nullptr && session.next <= model_of(session).revision())
      fail("watch", fmt::format("a watch at node {} never tells of revision {}", session.node->id().value,
                                session.next));
  }
  if (auto finding = check::check_monotonic_reads(history_); !finding.ok())
    fail("serializable read", finding.explanation);
  if (auto finding = check::check_read_your_writes(history_); !finding.ok())
    fail("serializable read", finding.explanation);
}

}  // namespace quorate::sim
