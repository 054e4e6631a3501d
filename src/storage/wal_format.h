// The fixed parts of a segment file: its header and the header of a batch. docs/design/formats.md has the
// table of bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/ids.h"
#include "storage/wal.h"

namespace quorate::storage::wal {

inline constexpr std::uint32_t format_version = 2;  // 1 is read, too: it has no Plainness
inline constexpr std::size_t sector = 512;  // a disk writes it whole or not at all; batches begin on one
inline constexpr std::size_t page =
    4096;  // what the kernel writes; a partial one would have to be read first
inline constexpr std::size_t batch_header_bytes = 48;

// So many zero bytes, or as many as there are.
[[nodiscard]] std::string_view zeroes(std::uint64_t length);

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t unit) { return (n + unit - 1) / unit * unit; }

struct Identity {
  ClusterId cluster;
  NodeId node;
  friend bool operator==(const Identity&, const Identity&) = default;
};

struct SegmentHeader {  // the first sector
  std::uint32_t version = format_version;
  Identity identity;
  std::uint64_t sequence = 0;      // of this segment, from 1, never used twice
  std::uint64_t oldest = 0;        // the first segment still needed when this one began
  std::uint64_t first_batch = 0;   // the number of this segment's first batch
  std::uint64_t previous_end = 0;  // where the batches of the segment before end
  std::uint64_t capacity = 0;      // the file is at least this long
};

enum class BatchKind : std::uint8_t {
  checkpoint = 1,  // the first of a segment: what all keyspaces amount to where it begins
  writes = 2,      // the groups of one sync()
};

// Which batches hold no record (a vote, a promise), so that whoever finds some of them unreadable knows
// whether a record is lost with them. Nothing is said where it is not known.
struct Plainness {
  static constexpr std::uint32_t most = (1U << 23U) - 1;
  bool here = false;         // this batch holds none
  std::uint32_t before = 0;  // nor do so many directly in front of it, or `most` of more
  friend bool operator==(const Plainness&, const Plainness&) = default;
};

struct BatchHeader {
  BatchKind kind = BatchKind::writes;
  Plainness plain;
  std::uint64_t segment = 0;  // binds it to this life of a recycled file
  std::uint64_t number = 0;   // counts batches over all segments
  std::uint64_t offset = 0;   // where it stands in the file: a misdirected write is seen
  std::uint64_t body_bytes = 0;
  std::uint32_t body_crc = 0;
  [[nodiscard]] std::uint64_t extent() const { return round_up(batch_header_bytes + body_bytes, sector); }
  [[nodiscard]] std::uint64_t end() const { return offset + extent(); }
};

// `at` has room for a sector, all of which is written.
void encode(const SegmentHeader& header, char* at);
// The error's kind is corrupt or version; `name` and what to do are told.
[[nodiscard]] std::expected<SegmentHeader, WalError> decode_segment_header(std::string_view bytes,
                                                                           const std::string& name);

// Plainness::before of the batch that follows this one.
constexpr std::uint32_t plain_behind(const BatchHeader& header) {
  return header.plain.here ? std::min(header.plain.before, Plainness::most - 1) + 1 : 0;
}

// `at` has room for batch_header_bytes.
void encode(const BatchHeader& header, const Identity& identity, char* at);

// What stands where a batch header is expected. A header lies within one sector, so a crash leaves it whole
// or leaves what was there before; one that is almost what it should be was damaged later.
enum class Standing : std::uint8_t { valid, absent, damaged };
struct FoundHeader {
  Standing standing = Standing::absent;
  BatchHeader header;                    // of a valid one
  std::optional<std::uint64_t> stray{};  // an intact one of this segment that belongs elsewhere: its number
};
// `segment`, `offset`: where it was found. `number`: the one expected, which a valid header need not have.
[[nodiscard]] FoundHeader find_batch_header(std::string_view bytes, const Identity& identity,
                                            std::uint64_t segment, std::uint64_t offset,
                                            std::uint64_t number);

[[nodiscard]] std::string segment_name(std::uint64_t sequence);  // wal-0000000001
[[nodiscard]] std::string spare_name(std::uint64_t number);      // spare-0000000001
[[nodiscard]] std::string damaged_name(std::uint64_t sequence);  // damaged-0000000001: a segment set aside
[[nodiscard]] std::string newest_name(std::uint64_t sequence);   // newest-0000000001: see wal_newest.h
[[nodiscard]] std::optional<std::uint64_t> parse_segment_name(std::string_view name);
[[nodiscard]] std::optional<std::uint64_t> parse_spare_name(std::string_view name);
[[nodiscard]] std::optional<std::uint64_t> parse_damaged_name(std::string_view name);
[[nodiscard]] std::optional<std::uint64_t> parse_newest_name(std::string_view name);

[[nodiscard]] WalError corrupt(const std::string& name, std::uint64_t offset, const std::string& what);
[[nodiscard]] WalError contradiction(const std::string& name, std::uint64_t offset, const std::string& what);
[[nodiscard]] WalError io_failure(const IoError& error);

}  // namespace quorate::storage::wal
