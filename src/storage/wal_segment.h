// Reading and writing one segment file.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/bytes.h"
#include "storage/disk.h"
#include "storage/wal_codec.h"
#include "storage/wal_format.h"

namespace quorate::storage::wal {

struct Batch {
  BatchHeader header;
  Bytes body;
};
struct BadBatch {
  Standing standing = Standing::absent;
  BatchHeader header;  // where its header is valid
  std::string why;
};

// What stands behind a bad batch, or in its place.
struct Behind {
  std::optional<std::uint64_t> later;  // where a valid header of a later batch stands
  bool stray = false;  // an intact header stands where it does not belong, in its place or of a later one
};

class SegmentReader {
 public:
  SegmentReader(File& file, std::string name, Identity identity)
      : file_(&file), name_(std::move(name)), identity_(identity) {}

  [[nodiscard]] std::expected<SegmentHeader, WalError> header();
  // The header of a batch at this offset, of whatever number; none where no valid one stands.
  [[nodiscard]] IoResult<std::optional<BatchHeader>> batch_header(std::uint64_t segment,
                                                                  std::uint64_t offset);
  // The batch of this number at this offset. A bad one is read again from the disk before it is believed.
  [[nodiscard]] IoResult<std::variant<Batch, BadBatch>> batch(std::uint64_t segment, std::uint64_t offset,
                                                              std::uint64_t number);
  // From `offset` on, for batch `number`. There is a later one only if that batch was durable: a batch is
  // written after the one before it was synced. There is a stray one only if a write went astray, and with
  // it what else the last page held, perhaps over durable batches.
  [[nodiscard]] IoResult<Behind> behind(std::uint64_t segment, std::uint64_t offset, std::uint64_t number);

 private:
  [[nodiscard]] IoResult<std::variant<Batch, BadBatch>> read_batch(std::uint64_t segment,
                                                                   std::uint64_t offset,
                                                                   std::uint64_t number);
  [[nodiscard]] IoResult<Behind> look_behind(std::uint64_t segment, std::uint64_t offset,
                                             std::uint64_t number);
  // Up to `length` bytes, through a window that is read ahead.
  [[nodiscard]] IoResult<std::string_view> peek(std::uint64_t offset, std::uint64_t length);

  File* file_;
  std::string name_;
  Identity identity_;
  std::string window_;
  std::uint64_t window_at_ = 0;
};

// Appends batches. Whole pages are written: the bytes of the last, partial page are kept and written again in
// front of the next batch, since the kernel would have to read a page that is written in part.
class SegmentWriter {
 public:
  SegmentWriter() = default;
  // `offset`: where the next batch goes, a multiple of the sector.
  SegmentWriter(std::unique_ptr<File> file, std::uint64_t offset) : file_(std::move(file)), offset_(offset) {}
  // From its beginning; what was never `written` is zeroes, up to the file's `end`.
  SegmentWriter(std::unique_ptr<File> file, std::uint64_t written, std::uint64_t end)
      : file_(std::move(file)), written_(written), end_(end) {}

  // Writes the buffer's content, padded with zeroes to the sector (and on to the page).
  [[nodiscard]] IoResult<void> write(WriteBuffer& buffer);
  [[nodiscard]] IoResult<void> sync() { return file_->sync(); }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }

 private:
  void write_ahead(std::uint64_t batch_end);

  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t end_ = 0;
  std::string tail_;  // what stands before `offset_` in its page, as far as known
};

}  // namespace quorate::storage::wal
