#include "storage/wal_spares.h"

#include <algorithm>
#include <utility>

#include "storage/wal_format.h"

namespace quorate::storage::wal {
namespace {

constexpr std::size_t kept_spares = 4;

}  // namespace

SparePool::SparePool(Disk& disk, std::uint64_t segment_bytes, const std::vector<std::string>& names)
    : disk_(&disk), segment_bytes_(segment_bytes), ready_(names.begin(), names.end()), found_(names.size()) {
  for (const auto& name : names)
    next_number_ = std::max(next_number_, parse_spare_name(name).value_or(0) + 1);
}

IoResult<SparePool::Spare> SparePool::make(std::uint64_t capacity) {
  std::string name = spare_name(next_number_++);
  auto file = disk_->create(name);
  if (!file) return std::unexpected(file.error());
  if (auto allocated = (*file)->allocate(capacity); !allocated) {
    [[maybe_unused]] const auto removed = disk_->remove(name);  // a leftover is found at the next start
    return std::unexpected(allocated.error());
  }
  return Spare{std::move(name), std::move(*file), 0};
}

// A segment that outgrew its size is not worth keeping, nor one that a crash left unfinished.
bool SparePool::usable(const std::string& name) {
  auto file = disk_->open(name);
  if (!file) return false;
  const auto size = (*file)->size();
  return size && *size == segment_bytes_;
}

IoResult<SparePool::Spare> SparePool::take(std::uint64_t capacity) {
  gave_up_ = false;
  while (!ready_.empty()) {
    std::string name = std::move(ready_.front());
    ready_.pop_front();
    const bool found = found_ != 0;
    if (found) --found_;
    auto file = disk_->open(name);
    if (!file) return std::unexpected(file.error());
    auto size = (*file)->size();
    if (!size) return std::unexpected(size.error());
    if (*size == segment_bytes_) {
      // The process that made it may have died of a failed sync(): then even its length is only what the
      // kernel remembers, and goes with the next power cut.
      if (found) {
        if (auto emptied = (*file)->truncate(0); !emptied) return std::unexpected(emptied.error());
      }
      if (auto grown = (*file)->allocate(capacity); !grown) return std::unexpected(grown.error());
      return Spare{std::move(name), std::move(*file), found ? 0 : *size};
    }
    if (auto removed = disk_->remove(name); !removed) return std::unexpected(removed.error());
  }
  if (growing_.file) {
    if (auto grown = growing_.file->allocate(capacity); !grown) return std::unexpected(grown.error());
    return std::exchange(growing_, {});
  }
  return make(capacity);
}

void SparePool::prepare(std::uint64_t budget) {
  if (gave_up_ || !ready_.empty()) return;
  if (!growing_.file) {
    auto made = make(segment_bytes_);
    if (!made) {
      gave_up_ = true;
      return;
    }
    growing_ = std::move(*made);
  }
  const std::uint64_t length = std::min(round_up(budget, page), segment_bytes_ - growing_.written);
  const std::string_view piece = zeroes(length);
  if (!growing_.file->write(growing_.written, piece)) {
    [[maybe_unused]] const auto removed = disk_->remove(growing_.name);
    growing_ = {};
    gave_up_ = true;
    return;
  }
  growing_.written += piece.size();
  if (growing_.written < segment_bytes_) return;
  ready_.push_back(std::move(growing_.name));
  growing_ = {};
}

IoResult<void> SparePool::recycle(const std::string& name) {
  if (ready_.size() >= kept_spares || !usable(name)) return disk_->remove(name);
  std::string spare = spare_name(next_number_++);
  if (auto renamed = disk_->rename(name, spare); !renamed) return renamed;
  ready_.push_back(std::move(spare));
  return {};
}

}  // namespace quorate::storage::wal
