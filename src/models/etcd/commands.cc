// What each command does to the state.
#include <algorithm>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/implementation.h"
#include "models/etcd/wire.h"

namespace quorate::models::etcd {

namespace {

// Events a compaction looks at with each tick.
constexpr std::size_t sweep_per_tick = 1024;
constexpr std::size_t sweep_bytes_per_tick = 32U << 20U;
// Leases ended by one tick; the rest follows with the next.
constexpr std::size_t expiries_per_tick = 1000;
// What the reads within one command may take: every replica does them, and does nothing else meanwhile.
constexpr std::size_t command_rows = 1'000'000;
constexpr std::size_t command_bytes = 64U << 20U;

void append_lease(std::string& body, std::int64_t id, std::int64_t ttl) {
  wire::append_int(body, 2, id);
  wire::append_int(body, 3, ttl);
}

}  // namespace

// Those whose work is not bounded by their size.
bool Implementation::may_take_long(Op op) {
  return op == Op::delete_range || op == Op::txn || op == Op::lease_revoke || op == Op::tick;
}

Error Implementation::execute(std::string_view command, storage::Transaction& txn) {
  if (command.empty()) return Error::malformed;
  const auto op = static_cast<Op>(command.front());
  const std::string_view request = command.substr(1);
  if (op == Op::publish) return publish(request, txn);
  if (op == Op::alarm) return alarm(request, txn, body_);
  if (const Error refused = refused_by_alarm(op); refused != Error::none) return refused;
  Writer writer(state_, txn, sink(), scratch_);
  const Error error = execute(op, request, writer, txn);
  finish(writer);
  arena_.Reset();
  return error;
}

Stepwise<Error> Implementation::execute_in_steps(Op op, std::string_view request, storage::Transaction& txn,
                                                 Pace& pace) {
  if (op == Op::tick) {
    const Error error = co_await tick(request, txn, pace);
    co_return error;
  }
  if (const Error refused = refused_by_alarm(op); refused != Error::none) co_return refused;
  pace.spend(Pace::of_a_command);
  Writer writer(state_, txn, sink(), scratch_);
  Error error = Error::malformed;
  if (op == Op::delete_range) error = co_await delete_range(request, writer, pace);
  if (op == Op::txn) error = co_await transaction(request, writer, pace);
  if (op == Op::lease_revoke) error = co_await revoke(request, writer, txn, pace);
  finish(writer);
  co_return error;
}

// What etcd's applier refuses while an alarm is raised. Under NOSPACE whatever makes room goes on; of
// transactions those that put are refused, which shows when they are parsed.
Error Implementation::refused_by_alarm(Op op) const {
  if (alarms_.all().empty()) return Error::none;
  if (alarms_.raised(etcdserverpb::CORRUPT) && op != Op::lease_keep_alive) return Error::corrupt;
  const bool grows = op == Op::put || op == Op::lease_grant;
  return grows && alarms_.raised(etcdserverpb::NOSPACE) ? Error::no_space : Error::none;
}

Error Implementation::alarm(std::string_view request, storage::Transaction& txn, std::string& body) {
  etcdserverpb::AlarmRequest parsed;
  if (!parsed.ParseFromArray(request.data(), static_cast<int>(request.size()))) return Error::malformed;
  alarms_.execute(parsed, state_, txn, body);
  return Error::none;
}

void Implementation::finish(Writer& writer) {
  if (writer.changed() && !writer.tells()) changes_complete_ = false;
  writer.finish();
}

Error Implementation::execute(Op op, std::string_view request, Writer& writer, storage::Transaction& txn) {
  switch (op) {
    case Op::put: return put(request, writer);
    case Op::compact: return compact(request);
    case Op::lease_grant: return grant(request, txn, body_);
    case Op::lease_keep_alive: return keep_alive(request, txn, body_);
    default: return Error::malformed;
  }
}

Error Implementation::put(std::string_view request, Writer& writer) {
  const auto parsed = Put::parse(request);
  if (!parsed) return parsed.error();
  if (const Error error = validate(*parsed); error != Error::none) return error;
  return etcd::execute(*parsed, leases_, writer, body_);
}

Stepwise<Error> Implementation::delete_range(std::string_view request, Writer& writer, Pace& pace) {
  const auto* parsed = parse<etcdserverpb::DeleteRangeRequest>(arena_, request);
  if (parsed == nullptr) co_return Error::malformed;
  if (parsed->key().empty()) co_return Error::empty_key;
  Effort most(command_rows, command_bytes);
  RangeDeletion deletion(*parsed, writer, most, body_);
  while (!deletion.go_on(pace)) co_await Pause(pace);
  co_return deletion.error();
}

Stepwise<Error> Implementation::transaction(std::string_view request, Writer& writer, Pace& pace) {
  const auto* parsed = parse<etcdserverpb::TxnRequest>(arena_, request);
  if (parsed == nullptr) co_return Error::malformed;
  if (const Error error = validate(*parsed); error != Error::none) co_return error;
  if (alarms_.raised(etcdserverpb::NOSPACE) && has_puts(*parsed)) co_return Error::no_space;
  Effort most(command_rows, command_bytes);
  const View before{writer.reader(), state_.revision, state_.compacted, &most};
  const Error error = co_await etcd::execute(*parsed, before, leases_, &writer, pace, body_);
  co_return error;
}

Error Implementation::compact(std::string_view request) {
  const auto* parsed = parse<etcdserverpb::CompactionRequest>(arena_, request);
  if (parsed == nullptr) return Error::malformed;
  if (parsed->revision() <= state_.compacted) return Error::compacted;
  if (parsed->revision() > state_.revision) return Error::future_revision;
  begin_compaction(state_, parsed->revision());
  return Error::none;
}

Error Implementation::grant(std::string_view request, storage::Transaction& txn, std::string& body) {
  const auto* parsed = parse<etcdserverpb::LeaseGrantRequest>(arena_, request);
  if (parsed == nullptr || parsed->id() == 0) return Error::malformed;
  if (parsed->ttl() > max_lease_ttl) return Error::lease_ttl_too_large;
  if (leases_.find(parsed->id()) != nullptr) return Error::lease_exists;
  const std::int64_t ttl = std::max(parsed->ttl(), min_lease_ttl);
  leases_.set(parsed->id(), ttl, state_, txn);
  append_lease(body, parsed->id(), ttl);
  return Error::none;
}

Error Implementation::keep_alive(std::string_view request, storage::Transaction& txn, std::string& body) {
  const auto* parsed = parse<etcdserverpb::LeaseKeepAliveRequest>(arena_, request);
  if (parsed == nullptr) return Error::malformed;
  const LeaseRecord* lease = leases_.find(parsed->id());
  const std::int64_t ttl = lease != nullptr ? lease->ttl : 0;
  if (lease != nullptr) leases_.set(parsed->id(), ttl, state_, txn);
  append_lease(body, parsed->id(), ttl);
  return Error::none;
}

Stepwise<Error> Implementation::revoke(std::string_view request, Writer& writer, storage::Transaction& txn,
                                       Pace& pace) {
  const auto* parsed = parse<etcdserverpb::LeaseRevokeRequest>(arena_, request);
  if (parsed == nullptr) co_return Error::malformed;
  if (leases_.find(parsed->id()) == nullptr) co_return Error::lease_not_found;
  LeaseEnd end(parsed->id(), writer);
  while (!end.go_on(pace)) co_await Pause(pace);
  leases_.remove(parsed->id(), state_, txn);
  co_return Error::none;
}

Stepwise<Error> Implementation::tick(std::string_view request, storage::Transaction& txn, Pace& pace) {
  const auto parsed = codec::decode<Tick>(Bytes::copy(request));
  if (!parsed || parsed->now.shown < Duration::zero()) co_return Error::malformed;
  if (alarms_.raised(etcdserverpb::CORRUPT)) co_return Error::corrupt;  // no lease ends on a state in doubt
  if (parsed->behind != state_.ticks) co_return Error::none;
  pace.spend(Pace::of_a_command);
  state_.log_time += counted(parsed->now);
  state_.last_tick = parsed->now;
  ++state_.ticks;
  while (leases_.begin_next(state_, txn)) {
    pace.spend(Pace::of_a_command);
    co_await Pause(pace);
  }
  const auto due = leases_.expired(state_.log_time, expiries_per_tick);
  for (const std::int64_t id : due) {
    Writer writer(state_, txn, sink(), scratch_);
    LeaseEnd end(id, writer);
    while (!end.go_on(pace)) co_await Pause(pace);
    leases_.remove(id, state_, txn);
    finish(writer);
    co_await Pause(pace);
  }
  Sweep sweep(state_, txn, sweep_per_tick, sweep_bytes_per_tick);
  while (!sweep.go_on(pace)) co_await Pause(pace);
  co_return Error::none;
}

// Readings of two clocks have nothing in common.
Duration Implementation::counted(const ClockReading& now) const {
  const ClockReading& before = state_.last_tick;
  if (now.node != before.node || now.incarnation != before.incarnation) return {};
  return std::clamp(now.shown - before.shown, Duration::zero(), longest_tick);
}

Error Implementation::publish(std::string_view request, storage::Transaction& txn) {
  const auto parsed = codec::decode<Publish>(Bytes::copy(request));
  if (!parsed) return Error::malformed;
  nodes_.publish(*parsed, state_, txn);
  return Error::none;
}

}  // namespace quorate::models::etcd
