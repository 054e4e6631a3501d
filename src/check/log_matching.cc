#include "check/log_matching.h"

namespace quorate::check {

std::optional<std::string> LogMatching::append(NodeId node, Log& log, const Entry& entry) {
  if (entry.index != log.last().next()) {
    return "node " + to_string(node) + " writes index " + to_string(entry.index) + " behind " +
           to_string(log.last());
  }
  const Fingerprint before = log.marks.empty() ? log.base_chain : log.marks.back().chain;
  const bool known = log.marks.empty() ? log.known_base : log.marks.back().known;
  const Fingerprint chain = combine(before, combine(fingerprint(entry), entry.epoch.value));
  log.marks.push_back({entry.epoch, chain, known});
  if (!known) return std::nullopt;
  const auto [seen, first] = chains_.try_emplace({entry.index.value, entry.epoch.value}, chain);
  if (seen->second == chain) return std::nullopt;
  return "node " + to_string(node) + " and another hold an entry of epoch " + to_string(entry.epoch) +
         " at index " + to_string(entry.index) + ", but their logs differ up to there";
}

void LogMatching::restart_at(Log& log, const SnapshotMeta& meta) {
  log = Log{};
  log.base = meta.index;
  const auto known = chains_.find({meta.index.value, meta.epoch.value});
  log.known_base = known != chains_.end();
  if (log.known_base) log.base_chain = known->second;
}

std::optional<std::string> LogMatching::recovered(NodeId node, const Recovered& recovered) {
  Log& log = logs_[node];
  log = Log{};
  if (recovered.log.empty()) {
    if (recovered.snapshot) restart_at(log, *recovered.snapshot);
    return std::nullopt;
  }
  const Entry& first = recovered.log.front();
  log.base = first.index.prev();
  log.known_base = log.base.none();
  if (recovered.snapshot && recovered.snapshot->index == log.base) restart_at(log, *recovered.snapshot);
  std::size_t taken = 0;
  // The log may begin below the snapshot: then its first entry tells the chain, if it was seen before.
  if (!log.known_base) {
    const auto seen = chains_.find({first.index.value, first.epoch.value});
    const bool known = seen != chains_.end();
    log.marks.push_back({first.epoch, known ? seen->second : 0, known});
    taken = 1;
  }
  for (; taken < recovered.log.size(); ++taken) {
    if (auto broken = append(node, log, recovered.log[taken])) return broken;
  }
  return std::nullopt;
}

std::optional<std::string> LogMatching::written(NodeId node, const Write& write) {
  Log& log = logs_[node];
  if (const auto* append_entries = std::get_if<AppendEntries>(&write)) {
    for (const Entry& entry : append_entries->entries) {
      if (auto broken = append(node, log, entry)) return broken;
    }
  } else if (const auto* truncate = std::get_if<TruncateFrom>(&write)) {
    if (truncate->index > log.base && truncate->index <= log.last()) {
      log.marks.resize(truncate->index - log.base - 1);
    }
  } else if (const auto* snapshot = std::get_if<SnapshotTaken>(&write)) {
    if (log.last() < snapshot->meta.index) restart_at(log, snapshot->meta);
  }
  return std::nullopt;
}

void LogMatching::committed(NodeId node, Index index) {
  if (index <= committed_) return;
  const auto log = logs_.find(node);
  const Mark* mark = log == logs_.end() ? nullptr : log->second.at(index);
  committed_ = index;
  committed_known_ = mark != nullptr && mark->known;
  if (committed_known_) committed_mark_ = *mark;
}

std::optional<std::string> LogMatching::leads(NodeId node, Epoch epoch) const {
  const auto log = logs_.find(node);
  if (log == logs_.end() || !committed_known_ || committed_mark_.epoch >= epoch) return std::nullopt;
  if (log->second.last() < committed_) {
    return "node " + to_string(node) + " leads epoch " + to_string(epoch) + " with a log that ends at " +
           to_string(log->second.last()) + ", but index " + to_string(committed_) +
           " was committed in epoch " + to_string(committed_mark_.epoch);
  }
  const Mark* mark = log->second.at(committed_);
  if (mark == nullptr || !mark->known || mark->chain == committed_mark_.chain) return std::nullopt;
  return "node " + to_string(node) + " leads epoch " + to_string(epoch) +
         " with a log that differs at or before index " + to_string(committed_) +
         ", which was committed in epoch " + to_string(committed_mark_.epoch);
}

}  // namespace quorate::check
