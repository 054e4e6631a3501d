#include "replog/raft/log.h"

#include <algorithm>

namespace quorate::raft {

void Log::reset(Index base, Epoch base_term) {
  base_ = base;
  base_term_ = base_term;
  entries_.clear();
  dead_ = 0;
}

void Log::append(Entry entry) { entries_.push_back(std::move(entry)); }

void Log::truncate_from(Index index) {
  const std::size_t keep = dead_ + (index - base_) - 1;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(keep), entries_.end());
}

void Log::compact(Index upto) {
  if (upto <= base_) return;
  base_term_ = term(upto);
  const std::size_t cut = upto - base_;
  for (std::size_t i = 0; i < cut; ++i) entries_[dead_ + i].payload = Bytes();
  dead_ += cut;
  base_ = upto;
  if (dead_ * 2 >=
      entries_.size()) {  // moves at most as many as were cut: constant per entry in the long run
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(dead_));
    dead_ = 0;
  }
}

Index Log::kept_behind(Index index, std::size_t entries, std::size_t bytes) const {
  Index first = index;
  std::size_t size = 0;
  for (; first > base_ && index - first < entries; first = first.prev()) {
    size += entries_[dead_ + (first - base_) - 1].payload.size();
    if (size > bytes) break;
  }
  return first;
}

std::vector<Entry> Log::slice(Index first, Index last, std::size_t max_bytes) const {
  if (first <= base_ || first > last || last > this->last()) return {};
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(dead_ + (first - base_) - 1);
  const auto limit = begin + static_cast<std::ptrdiff_t>(last - first + 1);
  auto end = begin;
  std::size_t bytes = 0;
  while (end != limit && (end == begin || bytes + cost(*end) <= max_bytes)) bytes += cost(*end++);
  return {begin, end};
}

Index Log::first_of_term_at(Index index) const {
  const Epoch wanted = term(index);
  if (base_term_ == wanted) return std::max(base_, Index(1));
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(dead_);
  const auto it = std::ranges::lower_bound(begin, entries_.end(), wanted, {}, &Entry::epoch);
  return base_ + static_cast<std::uint64_t>(it - begin) + 1;
}

Index Log::last_not_after(Epoch term, Index upto) const {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(dead_);
  const auto it = std::ranges::upper_bound(begin, entries_.end(), term, {}, &Entry::epoch);
  return std::max(base_, std::min(upto, base_ + static_cast<std::uint64_t>(it - begin)));
}

}  // namespace quorate::raft
