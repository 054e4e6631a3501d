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

std::vector<const Memtable::Row*> newest_rows(std::span<const std::shared_ptr<const Memtable>> memtables,
                                              Table table) {
  std::vector<const Memtable::Row*> rows;
  for (const auto& memtable : std::views::reverse(memtables)) memtable->append_rows(table, rows);
  const auto by_key = [](const Memtable::Row* a, const Memtable::Row* b) { return a->key < b->key; };
  if (!std::ranges::is_sorted(rows, by_key)) std::ranges::stable_sort(rows, by_key);
  const auto same_key = [](const Memtable::Row* a, const Memtable::Row* b) { return a->key == b->key; };
  rows.erase(std::ranges::unique(rows, same_key).begin(), rows.end());
  return rows;
}

}  // namespace quorate::storage
