#include "replog/raft/log.h"

#include <algorithm>

namespace quorate::raft {

void Log::reset(Index base, Epoch base_term) {
  base_ = base;
  base_term_ = base_term;
  entries_.clear();
}

void Log::append(Entry entry) { entries_.push_back(std::move(entry)); }

void Log::truncate_from(Index index) { entries_.erase(place(index), entries_.end()); }

void Log::compact(Index upto) {
  if (upto <= base_) return;
  base_term_ = term(upto);
  entries_.erase(entries_.begin(), place(upto.next()));
  base_ = upto;
}

Index Log::kept_behind(Index index, std::size_t entries, std::size_t bytes) const {
  const auto end = place(index.next());
  auto first = end;
  std::size_t size = 0;
  while (first != entries_.begin() && static_cast<std::size_t>(end - first) < entries) {
    size += (first - 1)->payload.size();
    if (size > bytes) break;
    --first;
  }
  return base_ + static_cast<std::uint64_t>(first - entries_.begin());
}

std::vector<Entry> Log::slice(Index first, Index last, std::size_t max_bytes) const {
  if (first <= base_ || first > last || last > this->last()) return {};
  const auto begin = place(first);
  const auto limit = place(last.next());
  auto end = begin;
  std::size_t bytes = 0;
  while (end != limit && (end == begin || bytes + cost(*end) <= max_bytes)) bytes += cost(*end++);
  return {begin, end};
}

Index Log::first_of_term_at(Index index) const {
  const Epoch wanted = term(index);
  if (base_term_ == wanted) return std::max(base_, Index(1));
  const auto it = std::ranges::lower_bound(entries_, wanted, {}, &Entry::epoch);
  return base_ + static_cast<std::uint64_t>(it - entries_.begin()) + 1;
}

Index Log::last_not_after(Epoch term, Index upto) const {
  const auto it = std::ranges::upper_bound(entries_, term, {}, &Entry::epoch);
  return std::max(base_, std::min(upto, base_ + static_cast<std::uint64_t>(it - entries_.begin())));
}

}  // namespace quorate::raft
