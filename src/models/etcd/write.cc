#include "models/etcd/write.h"

#include <utility>
#include <vector>

#include "models/etcd/wire.h"

namespace quorate::models::etcd {

using etcdserverpb::DeleteRangeRequest;

namespace {

constexpr std::size_t keys_at_once = 1'000;  // in memory, of a range that is deleted

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

Error execute(const DeleteRangeRequest& request, Writer& writer, Effort& effort, std::string& body) {
  KeyRange range = KeyRange::of(request.key(), request.range_end());
  std::vector<std::pair<std::string, std::string>> doomed;  // collected first: writing invalidates the scan
  std::int64_t deleted = 0;
  std::string previous;
  do {
    doomed.clear();
    for (Scan scan(writer.reader(), range, 0); scan.valid() && doomed.size() < keys_at_once; scan.next()) {
      doomed.emplace_back(scan.key(), scan.row());
    }
    for (const auto& [key, row] : doomed) {
      writer.erase(key, row);
      if (!request.prev_kv() || effort.spent()) continue;
      const std::size_t before = previous.size();
      append_key_value(previous, 3, key, tail_of(row));
      effort.give(previous.size() - before);
    }
    deleted += static_cast<std::int64_t>(doomed.size());
    if (doomed.size() == keys_at_once) range.begin = doomed.back().first;
  } while (doomed.size() == keys_at_once);
  if (effort.spent()) return Error::too_large;
  wire::append_int(body, 2, deleted);
  body.append(previous);
  return Error::none;
}

}  // namespace quorate::models::etcd
