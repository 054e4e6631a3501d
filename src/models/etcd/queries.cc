// Reads of what is committed, and of leases.
#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/audit.h"
#include "models/etcd/implementation.h"
#include "models/etcd/wire.h"

namespace quorate::models::etcd {

namespace {

// What a read may take before it is a long one.
constexpr std::size_t quick_rows = 1'000;
constexpr std::size_t quick_bytes = 256U << 10U;
constexpr std::size_t quick_passed = 1U << 20U;

}  // namespace

Bytes Implementation::query(const Bytes& request) {
  google::protobuf::Arena arena;
  const auto* parsed = parse<etcdserverpb::RangeRequest>(arena, request.view());
  return codec::encode(parsed != nullptr ? range(*parsed) : answer(Error::malformed, {}));
}

Result Implementation::range(const etcdserverpb::RangeRequest& request) {
  if (const Error error = validate(request); error != Error::none) return answer(error, {});
  Effort most(SIZE_MAX, most_answer_bytes_);
  std::string body;
  const Error error = read_range(request, view(&most), body);
  return answer(error, std::move(body));
}

Reading Implementation::begin_range(const etcdserverpb::RangeRequest& request) {
  if (const Error error = validate(request); error != Error::none) return answer(error, {});
  if (const Error error = check_revision(request.revision(), view()); error != Error::none)
    return answer(error, {});
  // What it takes to find an earlier revision is not known before.
  const bool past = request.revision() > 0 && request.revision() != visible_.revision;
  if (!past || request.range_end().empty()) {
    Effort quick(quick_rows, quick_bytes, quick_passed);
    std::string body;
    const Error error = read_range(request, view(&quick), body);
    if (!quick.spent()) return answer(error, std::move(body));
  }
  return later(
      [request](const View& then, std::string& answer) { return read_range(request, then, answer); });
}

Result Implementation::range_part(const etcdserverpb::RangeRequest& request, RangeCursor& cursor,
                                  std::size_t max_bytes) {
  if (const Error error = validate(request); error != Error::none) return answer(error, {});
  std::string body;
  const Error error = read_range_part(request, view(), cursor, max_bytes, body);
  Result result = answer(error, std::move(body));
  result.revision = cursor.revision;
  return result;
}

Result Implementation::read_txn(const etcdserverpb::TxnRequest& request) {
  if (const Error error = validate(request); error != Error::none) return answer(error, {});
  if (has_writes(request)) return answer(Error::malformed, {});
  Effort most(SIZE_MAX, most_answer_bytes_);
  std::string body;
  const Error error = etcd::read(request, view(&most), body);
  return answer(error, std::move(body));
}

Reading Implementation::begin_read_txn(const etcdserverpb::TxnRequest& request) {
  if (const Error error = validate(request); error != Error::none) return answer(error, {});
  if (has_writes(request)) return answer(Error::malformed, {});
  Effort quick(quick_rows, quick_bytes, quick_passed);
  std::string body;
  const Error error = etcd::read(request, view(&quick), body);
  if (!quick.spent()) return answer(error, std::move(body));
  return later(
      [request](const View& then, std::string& answer) { return etcd::read(request, then, answer); });
}

Result Implementation::lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request) {
  std::string body;
  wire::append_int(body, 2, request.id());
  const LeaseRecord* lease = leases_.find(request.id());
  if (lease == nullptr) {
    wire::append_int(body, 3, -1);
    return answer(Error::none, std::move(body));
  }
  wire::append_int(body, 3, Leases::seconds_left(*lease, state_.log_time));
  wire::append_int(body, 4, lease->ttl);
  if (request.keys()) {
    for (const auto& key : attached_keys(*engine_, request.id())) wire::append_message(body, 5, key);
  }
  return answer(Error::none, std::move(body));
}

Result Implementation::lease_leases() {
  std::string body;
  for (const std::int64_t id : leases_.by_end(state_.log_time)) {
    std::string status;
    wire::append_int(status, 1, id);
    wire::append_message(body, 2, status);
  }
  return answer(Error::none, std::move(body));
}

Result Implementation::hash_kv(const etcdserverpb::HashKVRequest& request) {
  if (const Error error = check_revision(request.revision(), view()); error != Error::none)
    return answer(error, {});
  const std::int64_t revision = request.revision() > 0 ? request.revision() : visible_.revision;
  const std::uint64_t chain = chain_at(*engine_, visible_, revision);
  std::string body;
  wire::append_int(body, 2, static_cast<std::int64_t>(static_cast<std::uint32_t>(chain ^ (chain >> 32U))));
  wire::append_int(body, 3, visible_.compacted);
  wire::append_int(body, 4, revision);
  return answer(Error::none, std::move(body));
}

Audit Implementation::begin_audit() {
  return [state = engine_->snapshot()] { return intact(*state); };
}

Statistics Implementation::statistics() const {
  return {.revision = visible_.revision,
          .compact_revision = visible_.compacted,
          .keys = static_cast<std::uint64_t>(visible_.keys),
          .bytes = static_cast<std::uint64_t>(visible_.bytes),
          .leases = leases_.size(),
          .watchers = hub_.size()};
}

std::vector<Alarm> Implementation::alarms() const {
  std::vector<Alarm> raised;
  for (const auto& [type, member] : alarms_.all()) raised.push_back({member, type});
  return raised;
}

template <class Read>
LongRead Implementation::later(Read read) const {
  return [read = std::move(read), engine = engine_->snapshot(), revision = visible_.revision,
          compacted = visible_.compacted, bytes = most_answer_bytes_, settled = !work_.has_value()] {
    Effort most(SIZE_MAX, bytes);
    std::string body;
    const Error error = read(View{*engine, revision, compacted, &most, settled}, body);
    if (error != Error::none) body.clear();
    return Result{error, revision, Bytes::adopt(std::move(body))};
  };
}

}  // namespace quorate::models::etcd
