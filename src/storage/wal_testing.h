// For the tests of the log: a plain model of what writes amount to, and a generator of sensible ones.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "core/rng.h"
#include "storage/memory_disk.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace quorate::storage::wal_testing {

struct Group {
  KeyspaceId keyspace;
  std::vector<Write> writes;
};

// Holds every entry that was not truncated, those behind the snapshot too.
struct ModelKeyspace {
  std::map<RecordKey, Bytes> records;
  std::optional<SnapshotMeta> snapshot;
  std::map<Index, Entry> entries;
  Index last;

  void apply(const Write& write) {
    if (const auto* put = std::get_if<PutRecord>(&write)) {
      records.erase(put->key);
      if (!put->value.empty()) records[put->key] = put->value;
    } else if (const auto* append = std::get_if<AppendEntries>(&write)) {
      for (const auto& entry : append->entries) {
        entries[entry.index] = entry;
        last = entry.index;
      }
    } else if (const auto* cut = std::get_if<TruncateFrom>(&write)) {
      entries.erase(entries.lower_bound(cut->index), entries.end());
      last = std::min(last, cut->index.prev());
    } else {
      snapshot = std::get<SnapshotTaken>(write).meta;
      if (last < snapshot->index) entries.clear();
      last = std::max(last, snapshot->index);
    }
  }
};
using Model = std::map<KeyspaceId, ModelKeyspace>;

inline void add_to(Model& model, const Group& group) {
  for (const auto& write : group.writes) model[group.keyspace].apply(write);
}

// Empty if `recovered` is what the model says, with or without entries behind the snapshot.
inline std::string difference(const Model& model, const std::map<KeyspaceId, Recovered>& recovered) {
  if (recovered.size() != model.size()) return "number of keyspaces";
  for (const auto& [id, want] : model) {
    const auto it = recovered.find(id);
    if (it == recovered.end()) return "no keyspace " + to_string(id);
    const Recovered& got = it->second;
    if (got.records != want.records) return "records";
    if (got.snapshot != want.snapshot) return "snapshot";
    const Index base = want.snapshot ? want.snapshot->index : Index();
    if (want.last == base && !got.log.empty() && got.log.back().index > base) return "entries behind the end";
    if (want.last > base) {
      if (got.log.empty()) return "no entries, last should be " + to_string(want.last);
      if (got.log.back().index != want.last) return "last entry is " + to_string(got.log.back().index);
      if (got.log.front().index > base.next()) return "first entry is " + to_string(got.log.front().index);
    }
    Index next = got.log.empty() ? Index() : got.log.front().index;
    for (const auto& entry : got.log) {
      if (entry.index != next) return "a gap before " + to_string(entry.index);
      next = next.next();
      const auto known = want.entries.find(entry.index);
      if (known == want.entries.end() || known->second != entry) return "entry " + to_string(entry.index);
    }
  }
  return {};
}

inline Entry entry(std::uint64_t index, std::string payload, std::uint64_t epoch = 1) {
  return {Epoch(epoch), Index(index), EntryKind::payload, Bytes::adopt(std::move(payload))};
}

inline SnapshotMeta snapshot_meta(std::uint64_t index, std::uint64_t epoch = 1) {
  return {Index(index), Epoch(epoch), Membership{{{NodeId(1), Role::voter, Bytes::copy("a")}}, {}, {}},
          Bytes::copy("digest")};
}

inline Group random_group(Rng& rng, const Model& model, std::size_t max_payload) {
  Group group{KeyspaceId(1 + rng.below(3)), {}};
  ModelKeyspace state;
  if (const auto it = model.find(group.keyspace); it != model.end()) state = it->second;
  const auto writes = 1 + rng.below(3);
  for (std::uint64_t i = 0; i < writes; ++i) {
    const std::uint64_t base = state.snapshot ? state.snapshot->index.value : 0;
    Write write;
    switch (rng.below(8)) {
      case 0: {
        const std::string value = rng.chance(0.3) ? "" : "value" + std::to_string(rng.below(1000));
        write = PutRecord{"key" + std::to_string(rng.below(4)), Bytes::copy(value)};
        break;
      }
      case 1:
        if (state.last.value == base) continue;
        write = TruncateFrom{Index(base + 1 + rng.below(state.last.value - base))};
        break;
      case 2:
      case 3: {
        const bool beyond = rng.chance(0.1);  // a snapshot received from a peer
        write = SnapshotTaken{snapshot_meta(beyond ? state.last.value + 1 + rng.below(5)
                                                   : base + rng.below(state.last.value - base + 1))};
        if (std::get<SnapshotTaken>(write).meta.index.none()) continue;
        break;
      }
      default: {
        AppendEntries append;
        const auto count = 1 + rng.below(4);
        for (std::uint64_t k = 1; k <= count; ++k) {
          std::string payload(rng.below(max_payload), '\0');
          for (auto& c : payload) c = static_cast<char>(rng.next());
          append.entries.push_back(entry(state.last.value + k, std::move(payload), 1 + rng.below(9)));
        }
        write = std::move(append);
      }
    }
    state.apply(write);
    group.writes.push_back(std::move(write));
  }
  return group;
}

inline std::vector<std::string> segment_names(MemoryDisk& disk) {
  auto names = disk.list().value();
  std::erase_if(names, [](const auto& name) { return !wal::parse_segment_name(name); });
  return names;
}

inline WalConfig small_config() {
  return {.segment_bytes = 16U << 10U, .cluster = ClusterId(7), .node = NodeId(3)};
}

inline Wal::Opened must_open(Disk& disk, const WalConfig& config = small_config()) {
  auto opened = Wal::open(disk, config);
  EXPECT_TRUE(opened.has_value()) << opened.error().what;
  return opened ? std::move(*opened) : Wal::Opened{};
}

}  // namespace quorate::storage::wal_testing
