#include "storage/memory_inode.h"

#include <algorithm>
#include <cstring>
#include <ranges>
#include <utility>

namespace quorate::storage {
namespace {

constexpr std::uint64_t sector = MemoryDisk::sector;

void overlay(std::string& bytes, std::uint64_t offset, std::string_view data) {
  if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
  data.copy(bytes.data() + offset, data.size());  // one memmove: most of a simulation's disk time is here
}

}  // namespace

void flip_bit(std::string& bytes, std::uint64_t bit) {
  if (bytes.empty()) return;
  bit %= bytes.size() * 8;
  bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1U << (bit % 8)));
}

// What is done to it.

MemoryInode::Change& MemoryInode::next_change() {
  if (pending_ == changes_.size()) changes_.emplace_back();
  return changes_[pending_++];
}

// How much of the end of what is written stands there already, in whole sectors: a log's batch is followed by
// zeroes on zeroes.
std::size_t MemoryInode::unchanged_tail(std::uint64_t offset, std::string_view data) const {
  if (offset + data.size() > bytes_.size()) return 0;
  std::size_t same = 0;
  while (same + sector <= data.size()) {
    const std::size_t at = data.size() - same - sector;
    if (std::memcmp(bytes_.data() + offset + at, data.data() + at, sector) != 0) break;
    same += sector;
  }
  return same;
}

void MemoryInode::write(std::uint64_t offset, std::string_view data) {
  if (!spoiled_.empty())
    spoiled_.erase(spoiled_.lower_bound(offset / sector),
                   spoiled_.lower_bound((offset + data.size() + sector - 1) / sector));
  Change& change = next_change();
  change.resize = false;
  change.offset = last_write_ = offset;
  change.length = data.size();
  change.size = bytes_.size();
  const std::string_view news = data.substr(0, data.size() - unchanged_tail(offset, data));
  change.replaced.assign(bytes_, std::min<std::uint64_t>(offset, bytes_.size()), news.size());
  overlay(bytes_, offset, news);
}

void MemoryInode::resize(std::uint64_t to) {
  if (to < bytes_.size()) spoiled_.erase(spoiled_.lower_bound(to / sector), spoiled_.end());
  Change& change = next_change();
  change.resize = true;
  change.offset = to;
  change.length = 0;
  change.size = bytes_.size();
  change.replaced.assign(bytes_, std::min<std::uint64_t>(to, bytes_.size()));
  bytes_.resize(to);
}

void MemoryInode::sync() {
  if (diverged_ && pending_ != 0) {
    const auto written = undone().written;
    for (std::uint64_t i = 0; i < pending_; ++i) keep(i, written[i], *diverged_);
  }
  forget_pending();
}

void MemoryInode::fail_sync() {
  if (pending_ != 0 && !diverged_) diverged_ = undone().bytes;
  forget_pending();
}

void MemoryInode::forget_pending() {
  const auto writes = std::span(changes_.data(), pending_) | std::views::reverse;
  const auto last = std::ranges::find(writes, false, &Change::resize);
  if (last != writes.end()) overwritten_.swap(last->replaced);
  pending_ = 0;
}

void MemoryInode::replace(std::string bytes) {
  forget_pending();
  diverged_.reset();
  bytes_ = std::move(bytes);
}

void MemoryInode::flip(std::uint64_t bit) {
  sync();
  flip_bit(bytes_, bit);
  if (diverged_) flip_bit(*diverged_, bit);
}

// What is found of it.

MemoryInode::Undone MemoryInode::undone() const {
  Undone undone{bytes_, std::vector<std::string>(pending_)};
  for (std::uint64_t i = pending_; i-- != 0;) {
    const Change& change = changes_[i];
    if (!change.resize) undone.written[i] = undone.bytes.substr(change.offset, change.length);
    undone.bytes.resize(change.size);
    overlay(undone.bytes, std::min(change.offset, change.size), change.replaced);
  }
  return undone;
}

bool MemoryInode::shows_unwritten() const { return pending_ == 0 && diverged_ && bytes_ != *diverged_; }

std::string MemoryInode::before_last_write() const {
  const auto writes = pending() | std::views::reverse;
  const auto last = std::ranges::find(writes, false, &Change::resize);
  std::string old = bytes_;
  overlay(old, last_write_, last != writes.end() ? last->replaced : overwritten_);
  return old;
}

void MemoryInode::spoil(std::uint64_t offset, std::optional<std::uint64_t> instead) {
  if (instead) *instead = *instead / sector * sector;
  spoiled_[offset / sector] = instead;
}

bool MemoryInode::spoil_read(std::uint64_t offset, std::string& read) const {
  const auto end = spoiled_.lower_bound((offset + read.size() + sector - 1) / sector);
  for (auto it = spoiled_.lower_bound(offset / sector); it != end; ++it) {
    if (!it->second) return false;
    std::string shown = *it->second < bytes_.size() ? bytes_.substr(*it->second, sector) : std::string();
    shown.resize(sector);
    const std::uint64_t from = std::max(it->first * sector, offset);
    const std::uint64_t length = std::min((it->first + 1) * sector, offset + read.size()) - from;
    read.replace(from - offset, length, shown, from % sector, length);
  }
  return true;
}

// After a crash.

void MemoryInode::settle(Rng& rng, MemoryDisk::Survival survival) {
  using Survival = MemoryDisk::Survival;
  if (survival == Survival::all) sync();
  if (pending_ == 0 && !diverged_) return overwritten_.clear();
  auto [before, written] = undone();
  std::string found = diverged_ ? std::move(*diverged_) : std::move(before);
  if (survival == Survival::any || survival == Survival::reordered) {
    for (std::uint64_t i = 0; i < pending_; ++i)
      keep_some(rng, changes_[i], written[i], survival == Survival::reordered, found);
  }
  if (survival == Survival::torn) keep_front(rng, written, found);
  changes_.clear();
  pending_ = 0;
  diverged_.reset();
  overwritten_.clear();
  bytes_ = std::move(found);
}

void MemoryInode::keep(std::uint64_t number, std::string_view written, std::string& durable) const {
  const Change& change = changes_[number];
  change.resize ? durable.resize(change.offset) : overlay(durable, change.offset, written);
}

// Everything up to a sector's end within one of the changes, and nothing behind it.
void MemoryInode::keep_front(Rng& rng, std::span<const std::string> written, std::string& durable) const {
  if (pending_ == 0) return;
  const std::uint64_t last = rng.below(pending_);
  for (std::uint64_t i = 0; i < last; ++i) keep(i, written[i], durable);
  const Change& change = changes_[last];
  if (change.resize) return keep(last, {}, durable);
  const std::uint64_t sectors = (change.offset + change.length) / sector - change.offset / sector;
  const std::uint64_t end = (change.offset / sector + rng.below(sectors + 1)) * sector;
  if (end > change.offset)
    keep(last, std::string_view(written[last]).substr(0, end - change.offset), durable);
}

void MemoryInode::keep_some(Rng& rng, const Change& change, std::string_view written, bool sectors_apart,
                            std::string& durable) {
  if (change.resize) {
    if (rng.chance(0.5)) durable.resize(change.offset);
    return;
  }
  // Mostly whole or gone, as most writes are; else each sector has its own fate, or a prefix is kept.
  const auto fate = sectors_apart ? 3 : rng.below(4);
  if (fate == 0) return;
  if (fate == 1) return overlay(durable, change.offset, written);
  const std::uint64_t prefix = fate == 2 ? rng.below(written.size() + 1) : UINT64_MAX;
  for (std::uint64_t at = 0; at < written.size();) {
    const std::uint64_t length = std::min(sector - (change.offset + at) % sector, written.size() - at);
    const bool kept = fate == 2 ? at + length <= prefix : rng.chance(0.5);
    if (kept) overlay(durable, change.offset + at, written.substr(at, length));
    at += length;
  }
}

}  // namespace quorate::storage
