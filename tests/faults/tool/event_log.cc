#include "tool/event_log.h"

#include <fmt/format.h>

namespace quorate::faults {

std::expected<void, std::string> EventLog::deliver(std::int64_t revision, std::vector<Event> events) {
  const std::lock_guard lock(mutex_);
  const auto at = static_cast<std::size_t>(revision - after_ - 1);
  if (at == steps_.size()) {
    steps_.push_back({revision, std::move(events), client::Clock::now()});
    return {};
  }
  if (revision <= after_ || at > steps_.size()) {
    return std::unexpected(
        fmt::format("revision {} of a log that reaches {}", revision, after_ + steps_.size()));
  }
  if (steps_[at].events == events) return {};
  return std::unexpected(fmt::format(
      "two watchers were told different events of revision {}: {} of key {}, and {} of key {}", revision,
      steps_[at].events.size(), steps_[at].events.front().key, events.size(), events.front().key));
}

std::int64_t EventLog::last() const {
  const std::lock_guard lock(mutex_);
  return after_ + static_cast<std::int64_t>(steps_.size());
}

std::expected<void, std::string> Sequence::take(std::int64_t revision) {
  if (revision == next_) {
    ++next_;
    return {};
  }
  if (revision < next_)
    return std::unexpected(fmt::format("revision {} was told again behind {}", revision, next_ - 1));
  return std::unexpected(fmt::format("revisions {} to {} were left out", next_, revision - 1));
}

std::expected<void, std::string> Sequence::progress(std::int64_t revision) {
  if (revision < next_) return {};
  return std::unexpected(fmt::format("progress up to {} was claimed, and {} was not told", revision, next_));
}

}  // namespace quorate::faults
