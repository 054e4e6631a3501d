#include "models/etcd/audit.h"

#include <string>

#include "models/etcd/store.h"
#include "models/etcd/wire.h"

namespace quorate::models::etcd {

namespace {

constexpr std::size_t smallest_event = 16;

bool follows(Position next, Position before) {
  return next.revision == before.revision ? next.sub == before.sub + 1
                                          : next.revision == before.revision + 1 && next.sub == 0;
}

// The running hash behind an event, where the one in front of it is known. (decode_event() trusts its row.)
std::uint64_t chain_behind(std::uint64_t before, std::string_view row) {
  row.remove_prefix(8);
  row.remove_suffix(sizeof(std::uint32_t));
  wire::take_varint(row);
  wire::take_varint(row);
  return extend(before, row);
}

// Calls visit(key, value) for every row of the table whose key begins with `prefix`.
template <class Visit>
void for_each(const storage::Reader& state, storage::Table table, std::string_view prefix, Visit visit) {
  const auto row = state.cursor(table);
  for (row->seek(prefix); row->valid() && row->key().starts_with(prefix); row->next())
    visit(row->key(), row->value());
}

std::string element(char kind, std::string_view key, std::string_view value) {
  return std::string(1, kind).append(key).append(value);
}

}  // namespace

bool intact(const storage::Reader& state) {
  const State kept = load_state(state);
  State found;
  std::string live;
  bool shaped = true;
  for_each(state, table::current, {}, [&](std::string_view key, std::string_view row) {
    if (row.size() < sizeof(std::uint32_t)) return void(shaped = false);
    live.clear();
    append_payload(live, false, key, tail_of(row));
    found.live.add(live);
    ++found.keys;
  });
  Position before;  // compaction leaves gaps: there, the hash is taken as it stands
  for_each(state, table::history, {}, [&](std::string_view key, std::string_view row) {
    if (row.size() < smallest_event || key.size() != event_overhead) return void(shaped = false);
    const Position at = history_position(key);
    const std::uint64_t chain = read_u64(row);
    if (follows(at, before) && chain_behind(found.chain, row) != chain) shaped = false;
    found.bytes += static_cast<std::int64_t>(event_overhead + row.size());
    found.chain = chain;
    before = at;
  });
  for_each(state, table::leases, {}, [&](std::string_view key, std::string_view row) {
    found.live.add(element(kind::lease, key, row));
  });
  for_each(state, table::meta, node_prefix, [&](std::string_view key, std::string_view row) {
    found.live.add(element(kind::node, key, row));
  });
  for_each(state, table::meta, alarm_prefix,
           [&](std::string_view key, std::string_view) { found.live.add(element(kind::alarm, key, {})); });
  const bool same_history = found.bytes == kept.bytes && (found.bytes == 0 || found.chain == kept.chain);
  return shaped && found.live == kept.live && found.keys == kept.keys && same_history;
}

}  // namespace quorate::models::etcd
