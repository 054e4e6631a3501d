#include "storage/wal_segment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/crc32c.h"

namespace quorate::storage::wal {
namespace {

constexpr std::uint64_t read_ahead = 1U << 20U;
constexpr int attempts = 3;
constexpr std::uint64_t small_batch = 64U << 10U;

// Of two readings of a bad batch. A header that was read once stands there, whatever another reading missed.
bool tells_more(const BadBatch& one, const BadBatch& other) {
  const auto weight = [](Standing standing) {
    return standing == Standing::valid ? 2 : standing == Standing::damaged ? 1 : 0;
  };
  return weight(one.standing) > weight(other.standing);
}

}  // namespace

IoResult<std::string_view> SegmentReader::peek(std::uint64_t offset, std::uint64_t length) {
  const bool inside = offset >= window_at_ && offset + length <= window_at_ + window_.size();
  if (!inside) {
    auto bytes = file_->read(offset, std::max(length, read_ahead));
    if (!bytes) return std::unexpected(bytes.error());
    window_ = std::move(*bytes);
    window_at_ = offset;
  }
  const std::string_view window(window_);
  return window.substr(std::min<std::uint64_t>(offset - window_at_, window.size()), length);
}

std::expected<SegmentHeader, WalError> SegmentReader::header() {
  std::expected<SegmentHeader, WalError> result;
  for (int i = 0; i < attempts; ++i) {
    window_.clear();
    const auto bytes = peek(0, sector);
    if (!bytes) return std::unexpected(io_failure(bytes.error()));
    result = decode_segment_header(*bytes, name_);
    if (result) break;
  }
  return result;
}

IoResult<std::optional<BatchHeader>> SegmentReader::batch_header(std::uint64_t segment,
                                                                 std::uint64_t offset) {
  for (int i = 0; i < attempts; ++i) {
    if (i != 0) window_.clear();
    const auto head = peek(offset, batch_header_bytes);
    if (!head) return std::unexpected(head.error());
    const auto found = find_batch_header(*head, identity_, segment, offset, 0);
    if (found.standing == Standing::valid) return found.header;
  }
  return std::nullopt;
}

IoResult<std::variant<Batch, BadBatch>> SegmentReader::batch(std::uint64_t segment, std::uint64_t offset,
                                                             std::uint64_t number) {
  auto result = read_batch(segment, offset, number);
  for (int i = 1; i < attempts && result; ++i) {
    const auto* bad = std::get_if<BadBatch>(&*result);
    if (bad == nullptr) break;
    window_.clear();
    auto again = read_batch(segment, offset, number);
    const auto* worse = again ? std::get_if<BadBatch>(&*again) : nullptr;
    if (worse == nullptr || tells_more(*worse, *bad)) result = std::move(again);
  }
  return result;
}

IoResult<std::variant<Batch, BadBatch>> SegmentReader::read_batch(std::uint64_t segment, std::uint64_t offset,
                                                                  std::uint64_t number) {
  const auto head = peek(offset, batch_header_bytes);
  if (!head) return std::unexpected(head.error());
  const auto found = find_batch_header(*head, identity_, segment, offset, number);
  if (found.standing != Standing::valid) return BadBatch{found.standing, {}, "the batch's header is damaged"};
  const auto& header = found.header;
  if (header.number != number) {
    return BadBatch{Standing::damaged,
                    {},
                    "batch " + std::to_string(header.number) + " stands where batch " +
                        std::to_string(number) + " belongs"};
  }
  const auto size = file_->size();
  if (!size) return std::unexpected(size.error());
  if (header.body_bytes > *size - std::min(*size, offset + batch_header_bytes)) {
    return BadBatch{Standing::valid, header, "the batch ends behind the file"};
  }
  const auto body = peek(offset + batch_header_bytes, header.body_bytes);
  if (!body) return std::unexpected(body.error());
  if (body->size() != header.body_bytes || crc32c(*body) != header.body_crc) {
    return BadBatch{Standing::valid, header, "the batch does not match its checksum"};
  }
  return Batch{header, Bytes::copy(*body)};
}

// What lies behind a batch that is taken for torn is given up. So one bad reading must not hide it.
IoResult<Behind> SegmentReader::behind(std::uint64_t segment, std::uint64_t offset, std::uint64_t number) {
  Behind all;
  int strays = 0;
  for (int i = 0; i < attempts && !all.later; ++i) {
    window_.clear();
    const auto found = look_behind(segment, offset, number);
    if (!found) return found;
    all.later = found->later;
    if (found->stray) ++strays;
  }
  all.stray = strays > 1;  // what is read elsewhere than it stands looks like one, too
  return all;
}

IoResult<Behind> SegmentReader::look_behind(std::uint64_t segment, std::uint64_t offset,
                                            std::uint64_t number) {
  Behind behind;
  for (const std::uint64_t end = offset;; offset += sector) {
    const auto head = peek(offset, batch_header_bytes);
    if (!head) return std::unexpected(head.error());
    if (head->size() < batch_header_bytes) return behind;
    const auto found = find_batch_header(*head, identity_, segment, offset, number);
    // Further behind, older ones may be left of a write that went astray and was mended by the next. The log
    // may have come to such a one only where a page begins: a write takes the rest of its page with it.
    const bool in_its_place = offset == end && offset % page != 0;
    if (found.stray && (in_its_place || *found.stray >= number)) behind.stray = true;
    if (found.standing != Standing::valid || found.header.number <= number) continue;
    behind.later = offset;
    return behind;
  }
}

// A flush into space that is only allocated has to write the file's metadata, too: half as long again on
// ext4. So small batches find zeroes there, and many of them share that cost.
void SegmentWriter::write_ahead(std::uint64_t batch_end) {
  const std::uint64_t from = std::max(written_, round_up(batch_end, page));
  if (batch_end <= written_ || from >= end_ || batch_end - offset_ > small_batch) return;
  const std::string_view piece = zeroes(end_ - from);
  // Only speed is lost if it fails; what is wrong with the disk the batch itself will find.
  written_ = file_->write(from, piece) ? from + piece.size() : end_;
}

IoResult<void> SegmentWriter::write(WriteBuffer& buffer) {
  const std::size_t content = buffer.size();
  const std::uint64_t end = offset_ + round_up(content, sector);
  const std::size_t padded = round_up(end, page) - offset_;
  std::memset(buffer.room(padded - content), 0, padded - content);
  write_ahead(end);
  char* const begin = buffer.data() - tail_.size();
  std::ranges::copy(tail_, begin);
  const std::string_view whole(begin, tail_.size() + padded);
  if (auto written = file_->write(offset_ - tail_.size(), whole); !written) return written;
  const std::uint64_t start = offset_ - tail_.size();
  const std::uint64_t tail_start = std::max(start, end / page * page);
  tail_ = std::string(whole.substr(tail_start - start, end - tail_start));
  offset_ = end;
  return {};
}

}  // namespace quorate::storage::wal
