#include "storage/memtable.h"

#include <algorithm>
#include <cstring>
#include <ranges>
#include <utility>

#include <xxhash.h>

namespace quorate::storage {

std::size_t Memtable::Hash::operator()(std::string_view key) const {
  return XXH3_64bits(key.data(), key.size());
}

Memtable::Row* Memtable::locate(const Part& part, std::string_view key) {
  if (!part.ascending) {
    const auto found = part.index.find(key);
    return found == part.index.end() ? nullptr : *found;
  }
  if (part.rows.empty() || part.rows.back().key < key) return nullptr;
  const auto at = std::ranges::lower_bound(part.rows, key, {}, &Row::key);
  return at != part.rows.end() && at->key == key ? const_cast<Row*>(&*at) : nullptr;
}

Memtable::Row& Memtable::row(Table table, std::string_view key) {
  Part& part = parts_[static_cast<std::size_t>(table)];
  if (Row* known = locate(part, key)) return *known;
  const bool beyond = part.rows.empty() || part.rows.back().key < key;
  if (part.ascending && !beyond) {
    part.ascending = false;
    part.index.reserve(part.rows.size() + 1);
    for (Row& row : part.rows) part.index.insert(&row);
  }
  auto* memory = static_cast<char*>(keys_.allocate(std::max<std::size_t>(key.size(), 1), 1));
  std::memcpy(memory, key.data(), key.size());
  Row& added = part.rows.emplace_back();
  added.key = {memory, key.size()};
  if (!part.ascending) part.index.insert(&added);
  if (part.walked) link(part);
  bytes_ += sizeof(Row) + key.size() + 16;
  return added;
}

void Memtable::put(Table table, std::string_view key, Bytes value) {
  Row& changed = row(table, key);
  bytes_ += value.size();
  bytes_ -= changed.value.size();
  changed.value = std::move(value);
  changed.erased = false;
}

void Memtable::erase(Table table, std::string_view key) {
  Row& changed = row(table, key);
  bytes_ -= changed.value.size();
  changed.value = {};
  changed.erased = true;
}

void Memtable::add(const Memtable& newer) {
  for (std::size_t i = 0; i < table_count; ++i) {
    for (const Row& row : newer.parts_[i].rows) {
      if (row.erased) {
        erase(static_cast<Table>(i), row.key);
      } else {
        put(static_cast<Table>(i), row.key, row.value);
      }
    }
  }
}

const Memtable::Row* Memtable::find(Table table, std::string_view key) const {
  return locate(part(table), key);
}

void Memtable::link(const Part& part) {
  for (; part.linked < part.rows.size(); ++part.linked) {
    auto& row = const_cast<Row&>(part.rows[part.linked]);
    part.ordered.insert(part.ordered.end(), row);  // the hint makes ascending keys cheap
  }
}

const Memtable::Ordered& Memtable::ordered(Table table) const {
  const Part& walked = part(table);
  if (frozen_) {
    const std::lock_guard lock(linking_);
    link(walked);
  } else {
    walked.walked = true;
    link(walked);
  }
  return walked.ordered;
}

void Memtable::append_rows(Table table, std::vector<const Row*>& out) const {
  const auto& rows = part(table).rows;
  out.reserve(out.size() + rows.size());
  for (const Row& row : rows) out.push_back(&row);
}

bool Memtable::empty() const {
  return std::ranges::all_of(parts_, [](const Part& part) { return part.rows.empty(); });
}

void Memtable::walk_what(const Memtable& older) {
  for (std::size_t i = 0; i < parts_.size(); ++i) parts_[i].walked = older.parts_[i].walked;
}

bool Memtable::dismantle(std::size_t rows) {
  for (Part& part : parts_) {
    for (; rows > 0 && !part.rows.empty(); --rows) part.rows.pop_front();
    if (!part.rows.empty()) return true;
  }
  return false;
}

namespace {

// What is compared first when rows are sorted: the eight bytes behind what all keys begin with. Keys differ
// in these most of the time, and they are at hand, where the keys themselves are all over the memory.
struct Sortable {
  std::uint64_t lead = 0;
  std::uint32_t age = 0;  // the newest memtable's is 0
  const Memtable::Row* row = nullptr;

  friend bool operator<(const Sortable& a, const Sortable& b) {
    if (a.lead != b.lead) return a.lead < b.lead;
    const int order = a.row->key.compare(b.row->key);
    return order != 0 ? order < 0 : a.age < b.age;
  }
};

std::uint64_t lead_of(std::string_view key, std::size_t shared) {
  std::uint64_t lead = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const std::size_t at = shared + i;
    lead = (lead << 8U) | (at < key.size() ? static_cast<unsigned char>(key[at]) : 0U);
  }
  return lead;
}

void sort_rows(std::vector<Sortable>& rows) {
  if (rows.empty()) return;
  const std::string_view first = rows.front().row->key;
  std::size_t shared = first.size();
  for (const auto& one : rows) {
    const auto differs = std::ranges::mismatch(first.substr(0, shared), one.row->key);
    shared = static_cast<std::size_t>(differs.in1 - first.begin());
  }
  for (auto& one : rows) one.lead = lead_of(one.row->key, shared);
  std::sort(rows.begin(), rows.end());
}

}  // namespace

std::vector<const Memtable::Row*> newest_rows(std::span<const std::shared_ptr<const Memtable>> memtables,
                                              Table table) {
  std::vector<const Memtable::Row*> rows;
  if (memtables.size() == 1 && memtables.front()->ascending(table)) {
    memtables.front()->append_rows(table, rows);
    return rows;
  }
  std::vector<Sortable> sorted;
  std::uint32_t age = 0;
  for (const auto& memtable : std::views::reverse(memtables)) {
    rows.clear();
    memtable->append_rows(table, rows);
    for (const auto* row : rows) sorted.push_back({0, age, row});
    ++age;
  }
  sort_rows(sorted);
  rows.clear();
  for (const auto& one : sorted) {
    if (rows.empty() || rows.back()->key != one.row->key) rows.push_back(one.row);
  }
  return rows;
}

}  // namespace quorate::storage
