#include "models/etcd/write.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "models/etcd/wire.h"

namespace quorate::models::etcd {

using etcdserverpb::DeleteRangeRequest;

namespace {

constexpr std::size_t units_per_erasure = 3;

constexpr std::size_t most_at_once = 1'000;  // keys
constexpr std::size_t bytes_at_once = 1U << 20U;

std::size_t units_of(std::string_view row) { return units_per_erasure * Pace::of_a_row(row.size()); }

}  // namespace

std::expected<Put, Error> Put::parse(std::string_view request) {
  Put put;
  wire::Fields fields(request);
  while (fields.next()) {
    if (fields.is(1, wire::Type::bytes)) put.key = fields.bytes();
    if (fields.is(2, wire::Type::bytes)) put.value = fields.bytes();
    if (fields.is(3, wire::Type::varint)) put.lease = fields.integer();
    if (fields.is(4, wire::Type::varint)) put.prev_kv = fields.boolean();
    if (fields.is(5, wire::Type::varint)) put.ignore_value = fields.boolean();
    if (fields.is(6, wire::Type::varint)) put.ignore_lease = fields.boolean();
  }
  if (!fields.ok()) return std::unexpected(Error::malformed);
  return put;
}

Put Put::of(const etcdserverpb::PutRequest& request) {
  return {.key = request.key(),
          .value = request.value(),
          .lease = request.lease(),
          .prev_kv = request.prev_kv(),
          .ignore_value = request.ignore_value(),
          .ignore_lease = request.ignore_lease()};
}

Error validate(const Put& put) {
  if (put.key.empty()) return Error::empty_key;
  if (put.ignore_value && !put.value.empty()) return Error::value_provided;
  if (put.ignore_lease && put.lease != 0) return Error::lease_provided;
  return Error::none;
}

Error execute(const Put& put, const Leases& leases, Writer& writer, std::string& body) {
  if (put.lease != 0 && leases.find(put.lease) == nullptr) return Error::lease_not_found;
  std::string& old = writer.scratch().old;
  const bool exists = read_current(writer.reader(), put.key, old);
  if (!exists && (put.ignore_value || put.ignore_lease)) return Error::key_not_found;
  const Record before = decode_tail(tail_of(old));
  writer.put(put.key, put.ignore_value ? before.value : put.value,
             put.ignore_lease ? before.lease : put.lease, old);
  if (put.prev_kv && exists) append_key_value(body, 2, put.key, tail_of(old));
  return Error::none;
}

RangeDeletion::RangeDeletion(const DeleteRangeRequest& request, Writer& writer, Effort& effort,
                             std::string& body)
    : request_(request),
      writer_(writer),
      effort_(effort),
      body_(body),
      range_(KeyRange::of(request.key(), request.range_end())) {}

bool RangeDeletion::go_on(Pace& pace) {
  const auto doomed = next(pace);
  for (const auto& [key, row] : doomed) {
    writer_.erase(key, row);
    if (!request_.prev_kv() || effort_.spent()) continue;
    const std::size_t before = previous_.size();
    append_key_value(previous_, 3, key, tail_of(row));
    effort_.give(previous_.size() - before);
  }
  deleted_ += static_cast<std::int64_t>(doomed.size());
  if (!all_) {
    if (!doomed.empty()) range_.begin = doomed.back().first;
    return false;
  }
  if (effort_.spent()) {
    error_ = Error::too_large;
    return true;
  }
  wire::append_int(body_, 2, deleted_);
  body_.append(previous_);
  return true;
}

// As many as fit into the pace, and into memory; collected before they are erased, since writing invalidates
// the scan.
std::vector<std::pair<std::string, std::string>> RangeDeletion::next(Pace& pace) {
  std::vector<std::pair<std::string, std::string>> doomed;
  std::size_t bytes = 0;
  Scan scan(writer_.reader(), range_, 0);
  for (; scan.valid(); scan.next()) {
    if (pace.spent() || doomed.size() == most_at_once || bytes >= bytes_at_once) return doomed;
    doomed.emplace_back(scan.key(), scan.row());
    bytes += scan.row().size();
    pace.spend(units_of(scan.row()));
  }
  pace.spend(1);
  all_ = true;
  return doomed;
}

bool LeaseEnd::go_on(Pace& pace) {
  const std::size_t most = std::clamp<std::size_t>(pace.left() / units_per_erasure, 1, most_at_once);
  const auto keys = attached_keys(writer_.reader(), lease_, last_, most);
  std::string row;
  for (const auto& key : keys) {
    if (pace.spent()) return false;
    if (read_current(writer_.reader(), key, row)) writer_.erase(key, row);
    pace.spend(units_of(row));
    last_ = key;
  }
  pace.spend(1);
  return keys.size() < most;
}

}  // namespace quorate::models::etcd
