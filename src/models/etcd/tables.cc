#include "models/etcd/tables.h"

#include <algorithm>

#include "models/etcd/wire.h"

namespace quorate::models::etcd {

void append_u32(std::string& out, std::uint32_t v) {
  char raw[4];
  for (unsigned i = 0; i < 4; ++i) raw[i] = static_cast<char>(v >> (24U - 8U * i));
  out.append(raw, 4);
}

std::uint64_t read_u64(std::string_view in) {
  std::uint64_t v = 0;
  for (unsigned i = 0; i < 8; ++i) v = (v << 8U) | static_cast<unsigned char>(in[i]);
  return v;
}

std::uint32_t read_u32(std::string_view in) {
  std::uint32_t v = 0;
  for (unsigned i = 0; i < 4; ++i) v = (v << 8U) | static_cast<unsigned char>(in[i]);
  return v;
}

void append_history_key(std::string& out, Position at) {
  append_u64(out, static_cast<std::uint64_t>(at.revision));
  append_u32(out, at.sub);
}

std::string history_key(Position at) {
  std::string row;
  append_history_key(row, at);
  return row;
}

Position history_position(std::string_view row) {
  return {static_cast<std::int64_t>(read_u64(row)), read_u32(row.substr(8))};
}

namespace {

void append_escaped(std::string& out, std::string_view key) {
  std::size_t from = 0;
  for (;;) {
    const std::size_t zero = key.find('\0', from);
    if (zero == std::string_view::npos) break;
    out.append(key.substr(from, zero - from + 1));
    out.push_back('\xff');
    from = zero + 1;
  }
  out.append(key.substr(from));
}

}  // namespace

std::string version_prefix(std::string_view key) {
  std::string row;
  row.reserve(key.size() + 16);
  append_escaped(row, key);
  row.append("\0\1", 2);
  return row;
}

std::string behind_versions(std::string_view prefix) {
  std::string row(prefix);
  row.back() = '\2';
  return row;
}

std::string version_key(std::string_view prefix, Position at) {
  std::string row;
  row.reserve(prefix.size() + 12);
  row.append(prefix);
  append_u64(row, ~static_cast<std::uint64_t>(at.revision));
  append_u32(row, ~at.sub);
  return row;
}

void append_version_key(std::string& out, std::string_view key, Position at) {
  append_escaped(out, key);
  out.append("\0\1", 2);
  append_u64(out, ~static_cast<std::uint64_t>(at.revision));
  append_u32(out, ~at.sub);
}

std::string_view prefix_of_version(std::string_view row) { return row.substr(0, row.size() - 12); }

Position version_position(std::string_view row) {
  const auto tail = row.substr(row.size() - 12);
  return {static_cast<std::int64_t>(~read_u64(tail)), ~read_u32(tail.substr(8))};
}

std::string key_of_version(std::string_view row) {
  const auto escaped = row.substr(0, row.size() - 14);
  std::string key;
  key.reserve(escaped.size());
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    key.push_back(escaped[i]);
    if (escaped[i] == '\0') ++i;  // the 255 behind it
  }
  return key;
}

std::string lease_key(std::int64_t lease) {
  std::string row;
  append_u64(row, static_cast<std::uint64_t>(lease));
  return row;
}

std::int64_t lease_of(std::string_view row) { return static_cast<std::int64_t>(read_u64(row)); }

std::string attached_key(std::int64_t lease, std::string_view key) {
  std::string row;
  row.reserve(8 + key.size());
  append_u64(row, static_cast<std::uint64_t>(lease));
  row.append(key);
  return row;
}

void append_tail(std::string& out, const Record& record) {
  wire::append_int(out, 2, record.create);
  wire::append_int(out, 3, record.mod);
  wire::append_int(out, 4, record.version);
  wire::append_bytes(out, 5, record.value);
  wire::append_int(out, 6, record.lease);
}

std::string encode_tail(const Record& record) {
  std::string tail;
  tail.reserve(record.value.size() + 48);
  append_tail(tail, record);
  return tail;
}

Record decode_tail(std::string_view tail) {
  Record record;
  wire::Fields fields(tail);
  while (fields.next()) {
    if (fields.is(2, wire::Type::varint)) record.create = fields.integer();
    if (fields.is(3, wire::Type::varint)) record.mod = fields.integer();
    if (fields.is(4, wire::Type::varint)) record.version = fields.integer();
    if (fields.is(5, wire::Type::bytes)) record.value = fields.bytes();
    if (fields.is(6, wire::Type::varint)) record.lease = fields.integer();
  }
  return record;
}

namespace {

constexpr std::size_t sub_bytes = 4;

}  // namespace

std::uint32_t sub_of(std::string_view row) { return read_u32(row.substr(row.size() - sub_bytes)); }

std::string_view tail_of(std::string_view row) {
  row.remove_suffix(std::min(row.size(), sub_bytes));
  return row;
}

void append_key_value(std::string& out, std::uint32_t field, std::string_view key, std::string_view tail) {
  wire::append_tag(out, field, wire::Type::bytes);
  wire::append_varint(out, 1 + wire::varint_size(key.size()) + key.size() + tail.size());
  wire::append_message(out, 1, key);
  out.append(tail);
}

void append_payload(std::string& out, bool deleted, std::string_view key, std::string_view tail) {
  append_payload_front(out, deleted, key);
  out.append(tail);
}

void append_payload_front(std::string& out, bool deleted, std::string_view key) {
  out.push_back(deleted ? '\1' : '\0');
  wire::append_varint(out, key.size());
  out.append(key);
}

void append_superseded(std::string& out, Position at) {
  wire::append_varint(out, static_cast<std::uint64_t>(at.revision));
  wire::append_varint(out, at.sub);
}

EventView decode_event(std::string_view row) {
  EventView event;
  event.chain = read_u64(row);
  row.remove_prefix(8);
  event.superseded.revision = static_cast<std::int64_t>(wire::take_varint(row));
  event.superseded.sub = static_cast<std::uint32_t>(wire::take_varint(row));
  row.remove_suffix(sub_bytes);
  event.payload = row;
  event.deleted = row.front() != '\0';
  row.remove_prefix(1);
  const auto size = wire::take_varint(row);
  event.key = row.substr(0, size);
  event.tail = row.substr(size);
  return event;
}

std::string encode_event(const EventView& event, const std::optional<std::string>& prev) {
  std::string out;
  out.reserve(event.payload.size() + 16 + (prev ? event.key.size() + prev->size() + 16 : 0));
  wire::append_int(out, 1, event.deleted ? 1 : 0);
  append_key_value(out, 2, event.key, event.tail);
  if (prev) append_key_value(out, 3, event.key, *prev);
  return out;
}

}  // namespace quorate::models::etcd
