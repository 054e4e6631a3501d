#include "tool/history.h"

namespace quorate::faults {
namespace {
constexpr std::chrono::milliseconds kStall{150};
constexpr std::size_t kMostViolations = 100;
}  // namespace

void History::add(Record record) {
  const std::lock_guard lock(mutex_);
  records_.push_back(std::move(record));
}

void History::add(LeaseRecord record) {
  const std::lock_guard lock(mutex_);
  leases_.push_back(std::move(record));
}

void History::failed(const client::Status& status) {
  const std::lock_guard lock(mutex_);
  // The address in front and what follows it are of no interest when counting.
  auto words =
      status.message.starts_with("etcdserver:") ? status.message : std::string(http::to_string(status.code));
  ++errors_[std::move(words)];
}

void History::acknowledged_write() {
  const auto now = client::Clock::now();
  const std::lock_guard lock(mutex_);
  if (last_write_ != client::Time{} && now - last_write_ > kStall)
    stalls_.push_back({last_write_, now - last_write_});
  last_write_ = now;
}

void History::violation(const std::string& words) {
  const std::lock_guard lock(mutex_);
  if (violations_.size() < kMostViolations) violations_.push_back(words);
}

void History::count(const std::string& what) {
  const std::lock_guard lock(mutex_);
  ++counts_[what];
}

std::vector<std::string> History::violations() const {
  const std::lock_guard lock(mutex_);
  return violations_;
}

}  // namespace quorate::faults
