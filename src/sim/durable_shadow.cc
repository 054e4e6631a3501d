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
  if (count != log_.size()) {
    return fmt::format("a log that ends at {} instead of {}",
                       found.log.empty() ? 0 : found.log.back().index.value,
                       log_.empty() ? 0 : log_.back().index.value);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (it[static_cast<std::ptrdiff_t>(i)] != log_[i])
      return fmt::format("another entry at {}", log_[i].index.value);
  }
  return std::nullopt;
}

// The newest are kept apart: damage may hide some of them.
void DurableShadow::synced(std::size_t groups) {
  constexpr std::size_t kept = 4;
  if (groups == 0) return;
  if (syncs_.size() == kept) settle_oldest();
  Groups& newest = syncs_.emplace_back();
  for (; groups != 0; --groups, in_flight_.pop_front()) newest.push_back(std::move(in_flight_.front()));
  ++newest_;
}

void DurableShadow::settle_oldest() {
  for (const auto& writes : syncs_.front()) apply(writes);
  syncs_.pop_front();
}

std::optional<std::string> DurableShadow::recovered(const Recovered& found) {
  DurableShadow then = *this;
  missed_.reset();
  auto broken = then.difference(found);
  if (!broken) missed_ = then.syncs_.size();
  while (!then.syncs_.empty()) {
    then.settle_oldest();
    broken = then.difference(found);
    if (!broken) missed_ = then.syncs_.size();
  }
  std::size_t more = 0;  // groups that were in flight
  for (; broken && more < in_flight_.size(); ++more) {
    then.apply(in_flight_[more]);
    if (!then.difference(found)) broken.reset();
  }
  if (broken) {
    reset(found);
    return broken;
  }
  missed_ = 0;
  synced(more);
  in_flight_.clear();
  return std::nullopt;
}

std::optional<std::size_t> DurableShadow::lacking(const std::map<RecordKey, Bytes>& records) const {
  DurableShadow then = *this;
  std::optional<std::size_t> lacking;
  if (then.records_ == records) lacking = then.syncs_.size();
  while (!then.syncs_.empty()) {
    then.settle_oldest();
    if (then.records_ == records) lacking = then.syncs_.size();
  }
  for (const auto& writes : in_flight_) {
    then.apply(writes);
    if (then.records_ == records) lacking = 0;
  }
  return lacking;
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
  syncs_.clear();
  records_ = found.records;
  snapshot_ = found.snapshot;
  log_.clear();
  for (const Entry& entry : found.log) {
    if (!snapshot_ || entry.index > snapshot_->index) log_.push_back(entry);
  }
  first_ = log_.empty() ? Index(snapshot_ ? snapshot_->index.value + 1 : 1) : log_.front().index;
}

}  // namespace quorate::sim
