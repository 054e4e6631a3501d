// Where the model's state lies in the engine, and how keys and records are encoded. README.md has the
// overview.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/engine.h"

namespace quorate::models::etcd {

namespace table {
inline constexpr auto current = static_cast<storage::Table>(1);   // key -> tail of the live record, sub
inline constexpr auto history = static_cast<storage::Table>(2);   // revision, sub -> event
inline constexpr auto versions = static_cast<storage::Table>(3);  // escaped key, ~revision, ~sub -> nothing
inline constexpr auto leases = static_cast<storage::Table>(4);    // lease -> LeaseRecord
inline constexpr auto attached = static_cast<storage::Table>(5);  // lease, key -> nothing
inline constexpr auto meta = static_cast<storage::Table>(6);      // "state" -> State; "node", id -> NodeInfo
}  // namespace table

// Rows of `meta`, and what of the state is in its digest beside live records: a letter, then the row.
inline constexpr std::string_view node_prefix = "node";
inline constexpr std::string_view alarm_prefix = "alarm";
namespace kind {
inline constexpr char lease = '\2';
inline constexpr char node = '\3';
inline constexpr char alarm = '\4';
}  // namespace kind

inline constexpr std::size_t event_overhead = 12;  // its key's bytes, counted with it

// Where an event stands in history: the `sub`-th change of its revision.
struct Position {
  std::int64_t revision = 0;
  std::uint32_t sub = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

// Big endian, so that byte order is numeric order.
inline void write_u64(char* out, std::uint64_t v) {
  for (unsigned i = 0; i < 8; ++i) out[i] = static_cast<char>(v >> (56U - 8U * i));
}
inline void append_u64(std::string& out, std::uint64_t v) {
  char raw[8];
  write_u64(raw, v);
  out.append(raw, 8);
}
void append_u32(std::string& out, std::uint32_t v);
std::uint64_t read_u64(std::string_view in);  // in.size() >= 8
std::uint32_t read_u32(std::string_view in);  // in.size() >= 4

std::string history_key(Position at);
void append_history_key(std::string& out, Position at);
Position history_position(std::string_view row);

// The versions of a key lie together, newest first. The key is escaped (0 as 0 255) and ended (0 1), so that
// the byte order of rows is the order of keys even where one key is the beginning of another.
std::string version_prefix(std::string_view key);
std::string behind_versions(
    std::string_view prefix);  // greater than every row of the prefix, below the next key's
std::string version_key(std::string_view prefix, Position at);
void append_version_key(std::string& out, std::string_view key, Position at);  // of the key itself
std::string_view prefix_of_version(std::string_view row);
Position version_position(std::string_view row);
std::string key_of_version(std::string_view row);

std::string lease_key(std::int64_t lease);
std::int64_t lease_of(std::string_view row);
std::string attached_key(std::int64_t lease, std::string_view key);

// A live record, with its key elsewhere. Stored as its tail: the fields of mvccpb.KeyValue behind the key, in
// protobuf form, so that key and tail make the message a client gets.
struct Record {
  std::int64_t create = 0;
  std::int64_t mod = 0;
  std::int64_t version = 0;
  std::int64_t lease = 0;
  std::string_view value = {};
};
void append_tail(std::string& out, const Record& record);
std::string encode_tail(const Record& record);
Record decode_tail(std::string_view tail);

// A row of `current` is the end of the event that made the record: the tail, and the event's sub (4 bytes;
// its revision is in the tail). In memory the two share their bytes.
std::uint32_t sub_of(std::string_view row);
std::string_view tail_of(std::string_view row);  // empty for an empty row, which no record has

// Appends mvccpb.KeyValue as field `field` of an enclosing message.
void append_key_value(std::string& out, std::uint32_t field, std::string_view key, std::string_view tail);

// A row of history: the running hash of history up to and with it (8 bytes), the place of the live record it
// superseded, the change itself, and its sub (4 bytes).
struct EventView {
  std::uint64_t chain = 0;
  Position superseded;  // revision 0: there was no record
  bool deleted = false;
  std::string_view key;
  std::string_view tail;     // of a deletion only mod
  std::string_view payload;  // what is hashed: the change itself
};
void append_payload(std::string& out, bool deleted, std::string_view key, std::string_view tail);
void append_payload_front(std::string& out, bool deleted, std::string_view key);  // all but the tail
void append_superseded(std::string& out, Position at);
EventView decode_event(std::string_view row);
// mvccpb.Event; `prev` is the tail of what was there before, if wanted and known.
std::string encode_event(const EventView& event, const std::optional<std::string>& prev);

}  // namespace quorate::models::etcd
