#include "sim/durable_shadow.h"

#include <fmt/format.h>

namespace quorate::sim {

void DurableShadow::apply(const std::vector<Write>& writes) {
  for (const Write& write : writes) {
    if (const auto* put = std::get_if<PutRecord>(&write)) {
      if (put->value.empty()) {
        records_.erase(put->key);
      } else {
        records_[put->key] = put->value;
      }
    } else if (const auto* append = std::get_if<AppendEntries>(&write)) {
      if (log_.empty() && !append->entries.empty()) first_ = append->entries.front().index;
      log_.insert(log_.end(), append->entries.begin(), append->entries.end());
    } else if (const auto* truncate = std::get_if<TruncateFrom>(&write)) {
      while (!log_.empty() && log_.back().index >= truncate->index) log_.pop_back();
    } else if (const auto* snapshot = std::get_if<SnapshotTaken>(&write)) {
      snapshot_ = snapshot->meta;
      while (!log_.empty() && log_.front().index <= snapshot->meta.index) log_.pop_front();
      first_ = log_.empty() ? snapshot->meta.index.next() : log_.front().index;
    }
  }
}

std::optional<std::string> DurableShadow::difference(const Recovered& found) const {
  if (found.snapshot != snapshot_) {
    return fmt::format("a snapshot at {} instead of {}", found.snapshot ? found.snapshot->index.value : 0,
                       snapshot_ ? snapshot_->index.value : 0);
  }
  if (found.records != records_) {
    for (const auto& [key, value] : records_) {
      const auto it = found.records.find(key);
      if (it == found.records.end() || it->second != value) return fmt::format("an older record '{}'", key);
    }
    return "a record that was erased";
  }
  // The recovered log may begin earlier: what is at or below the snapshot does not count.
  auto it = found.log.begin();
  while (it != found.log.end() && snapshot_ && it->index <= snapshot_->index) ++it;
  const auto count = static_cast<std::size_t>(found.log.end() - it);
  for (std::size_t i = 0; i < std::min(count, log_.size()); ++i) {
    if (it[static_cast<std::ptrdiff_t>(i)] != log_[i])
      return fmt::format("another entry at {}", log_[i].index.value);
  }
  if (count != log_.size()) {
    return fmt::format("a log that ends at {} instead of {}",
                       found.log.empty() ? 0 : found.log.back().index.value,
                       log_.empty() ? 0 : log_.back().index.value);
  }
  return std::nullopt;
}

std::optional<std::string> DurableShadow::recovered(const Recovered& found) {
  const bool without_the_last = !last_.empty() && !difference(found);
  settle();
  auto broken = difference(found);
  while (broken && !in_flight_.empty()) {
    synced(1);
    settle();
    if (!difference(found)) broken.reset();
  }
  missed_only_the_last_ = broken && without_the_last;
  reset(found);
  return broken;
}

bool DurableShadow::had(const std::map<RecordKey, Bytes>& records) const {
  DurableShadow then = *this;
  for (then.settle(); then.records_ != records; then.settle()) {
    if (then.in_flight_.empty()) return false;
    then.synced(1);
  }
  return true;
}

Recovered DurableShadow::contents() {
  settle();
  Recovered found;
  found.records = records_;
  found.snapshot = snapshot_;
  found.log.assign(log_.begin(), log_.end());
  return found;
}

void DurableShadow::reset(const Recovered& found) {
  in_flight_.clear();
  last_.clear();
  records_ = found.records;
  snapshot_ = found.snapshot;
  log_.clear();
  for (const Entry& entry : found.log) {
    if (!snapshot_ || entry.index > snapshot_->index) log_.push_back(entry);
  }
  first_ = log_.empty() ? Index(snapshot_ ? snapshot_->index.value + 1 : 1) : log_.front().index;
}

}  // namespace quorate::sim
