#include "check/log_copies.h"

#include "core/codec.h"

namespace quorate::check {

void LogCopy::recovered(const Recovered& recovered, const Membership& initial, Ballot ballot) {
  *this = LogCopy{};
  epoch_ = ballot.epoch;
  ballots_.emplace_back(Ticket(), ballot);
  configurations_.front().membership = initial;
  if (recovered.snapshot) restart_behind(Ticket(), *recovered.snapshot);
  if (recovered.log.empty()) return;
  if (recovered.snapshot && recovered.log.back().index < recovered.snapshot->index) return;
  const Index behind = recovered.log.front().index.prev();
  if (behind != base_) {
    base_ = behind;
    base_epoch_ = Epoch();
  }
  for (const Entry& entry : recovered.log) append(Ticket(), entry);
}

void LogCopy::written(Ticket ticket, const std::vector<Write>& writes, const std::optional<Ballot>& ballot) {
  if (ballot) {
    epoch_ = ballot->epoch;
    ballots_.emplace_back(ticket, *ballot);
  }
  for (const Write& write : writes) {
    if (const auto* entries = std::get_if<AppendEntries>(&write)) {
      for (const Entry& entry : entries->entries) append(ticket, entry);
    } else if (const auto* cut = std::get_if<TruncateFrom>(&write)) {
      truncate(ticket, cut->index);
    } else if (const auto* snapshot = std::get_if<SnapshotTaken>(&write)) {
      if (last() < snapshot->meta.index) restart_behind(ticket, snapshot->meta);
    }
  }
}

void LogCopy::append(Ticket ticket, const Entry& entry) {
  marks_.push_back({entry.epoch, ticket});
  if (entry.kind != EntryKind::membership || entry.index <= configurations_.front().index) return;
  if (auto membership = codec::decode<Membership>(entry.payload))
    configurations_.push_back({entry.index, ticket, std::move(*membership)});
}

void LogCopy::truncate(Ticket ticket, Index from) {
  if (from <= base_ || from > last()) return;
  marks_.resize(from - base_ - 1);
  while (configurations_.size() > 1 && configurations_.back().index >= from) configurations_.pop_back();
  shrunk_ = ticket;
}

void LogCopy::restart_behind(Ticket ticket, const SnapshotMeta& meta) {
  base_ = meta.index;
  base_epoch_ = meta.epoch;
  marks_.clear();
  configurations_.assign(1, {meta.index, ticket, meta.membership});
  shrunk_ = ticket;
}

std::optional<Ballot> LogCopy::next_ballot() {
  if (ballots_.empty() || ballots_.front().first > durable_) return std::nullopt;
  const Ballot ballot = ballots_.front().second;
  ballots_.pop_front();
  durable_epoch_ = ballot.epoch;
  return ballot;
}

std::optional<LogCopy::Durable> LogCopy::durable_part() const {
  if (shrunk_ > durable_) return std::nullopt;
  auto mark = marks_.rbegin();
  while (mark != marks_.rend() && mark->ticket > durable_) ++mark;
  auto configuration = configurations_.rbegin();
  while (configuration->ticket > durable_) ++configuration;
  const auto count = static_cast<std::uint64_t>(marks_.rend() - mark);
  if (count == 0 && base_epoch_.none() && !base_.none()) return std::nullopt;
  return Durable{count == 0 ? base_epoch_ : mark->epoch, base_ + count, &configuration->membership};
}

}  // namespace quorate::check
