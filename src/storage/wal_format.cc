#include "storage/wal_format.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "storage/crc32c.h"

namespace quorate::storage::wal {
namespace {

constexpr std::string_view segment_magic = "QUORAWAL";
constexpr std::uint32_t batch_magic = 0x54424157U;  // "WABT"
constexpr std::string_view segment_prefix = "wal-";
constexpr std::string_view spare_prefix = "spare-";
constexpr std::string_view damaged_prefix = "damaged-";
constexpr std::string_view newest_prefix = "newest-";
constexpr std::size_t digits = 10;
// Beside the kind of a batch, in the same word.
constexpr std::uint32_t plain_here = 1U << 8U;
constexpr unsigned plain_before_shift = 9;

template <class T>
void put(char* at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<char>(value >> (8 * i));
}
template <class T>
T get(const char* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(at[i])) << (8 * i));
  return value;
}

std::uint32_t batch_header_crc(const char* at, const Identity& identity) {
  char seed[16];
  put(seed, identity.cluster.value);
  put(seed + 8, identity.node.value);
  return crc32c({at + 8, batch_header_bytes - 8}, crc32c({seed, sizeof seed}));
}

std::string numbered(std::string_view prefix, std::uint64_t number) {
  const std::string plain = std::to_string(number);
  std::string name(prefix);
  name.append(digits - std::min(digits, plain.size()), '0');
  return name + plain;
}

std::optional<std::uint64_t> parse_numbered(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : name.substr(prefix.size())) {
    if (c < '0' || c > '9' || number > (UINT64_MAX - 9) / 10) return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (number == 0 || numbered(prefix, number) != name) return std::nullopt;
  return number;
}

}  // namespace

std::string_view zeroes(std::uint64_t length) {
  static std::array<char, 1U << 20U> bytes;  // never written to: the kernel gives no memory for it
  return {bytes.data(), std::min<std::uint64_t>(length, bytes.size())};
}

// The place of magic, checksum and version is the same in every version of the format.
void encode(const SegmentHeader& header, char* at) {
  std::memset(at, 0, sector);
  std::memcpy(at, segment_magic.data(), segment_magic.size());
  put(at + 12, header.version);
  put(at + 16, header.identity.cluster.value);
  put(at + 24, header.identity.node.value);
  put(at + 32, header.sequence);
  put(at + 40, header.oldest);
  put(at + 48, header.first_batch);
  put(at + 56, header.previous_end);
  put(at + 64, header.capacity);
  put(at + 8, crc32c({at + 12, sector - 12}));
}

std::expected<SegmentHeader, WalError> decode_segment_header(std::string_view bytes,
                                                             const std::string& name) {
  if (bytes.size() < sector || !bytes.starts_with(segment_magic)) {
    return std::unexpected(corrupt(name, 0, "this is no segment of the log"));
  }
  const char* at = bytes.data();
  if (get<std::uint32_t>(at + 8) != crc32c({at + 12, sector - 12})) {
    return std::unexpected(corrupt(name, 0, "the segment's header does not match its checksum"));
  }
  SegmentHeader header;
  header.version = get<std::uint32_t>(at + 12);
  if (header.version == 0 || header.version > format_version) {
    return std::unexpected(WalError{
        WalError::Kind::version, name + ": log format " + std::to_string(header.version) +
                                     ", this program reads formats up to " + std::to_string(format_version)});
  }
  header.identity = {ClusterId(get<std::uint64_t>(at + 16)), NodeId(get<std::uint64_t>(at + 24))};
  header.sequence = get<std::uint64_t>(at + 32);
  header.oldest = get<std::uint64_t>(at + 40);
  header.first_batch = get<std::uint64_t>(at + 48);
  header.previous_end = get<std::uint64_t>(at + 56);
  header.capacity = get<std::uint64_t>(at + 64);
  return header;
}

void encode(const BatchHeader& header, const Identity& identity, char* at) {
  put(at, batch_magic);
  put(at + 8, header.segment);
  put(at + 16, header.number);
  put(at + 24, header.offset);
  put(at + 32, header.body_bytes);
  put(at + 40, header.body_crc);
  put(at + 44, static_cast<std::uint32_t>(header.kind) | (header.plain.here ? plain_here : 0U) |
                   std::min(header.plain.before, Plainness::most) << plain_before_shift);
  put(at + 4, batch_header_crc(at, identity));
}

FoundHeader find_batch_header(std::string_view bytes, const Identity& identity, std::uint64_t segment,
                              std::uint64_t offset, std::uint64_t number) {
  if (bytes.size() < batch_header_bytes) return {};
  const char* at = bytes.data();
  const bool magic = get<std::uint32_t>(at) == batch_magic;
  const bool here = get<std::uint64_t>(at + 24) == offset;
  const bool this_segment = get<std::uint64_t>(at + 8) == segment;
  const auto word = get<std::uint32_t>(at + 44);
  const auto kind = word & 0xffU;
  const bool intact = magic && this_segment && (kind == 1 || kind == 2) &&
                      get<std::uint32_t>(at + 4) == batch_header_crc(at, identity);
  if (intact && here) {
    return {Standing::valid,
            {static_cast<BatchKind>(kind),
             {(word & plain_here) != 0, word >> plain_before_shift},
             segment,
             get<std::uint64_t>(at + 16),
             offset,
             get<std::uint64_t>(at + 32),
             get<std::uint32_t>(at + 40)},
            {}};
  }
  // Former content of a recycled file may agree in magic and offset, never in a third.
  const bool expected = get<std::uint64_t>(at + 16) == number;
  return {magic + here + this_segment + expected >= 3 ? Standing::damaged : Standing::absent,
          {},
          intact ? std::optional(get<std::uint64_t>(at + 16)) : std::nullopt};
}

std::string segment_name(std::uint64_t sequence) { return numbered(segment_prefix, sequence); }
std::string spare_name(std::uint64_t number) { return numbered(spare_prefix, number); }
std::string damaged_name(std::uint64_t sequence) { return numbered(damaged_prefix, sequence); }
std::string newest_name(std::uint64_t sequence) { return numbered(newest_prefix, sequence); }
std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  return parse_numbered(segment_prefix, name);
}
std::optional<std::uint64_t> parse_spare_name(std::string_view name) {
  return parse_numbered(spare_prefix, name);
}
std::optional<std::uint64_t> parse_damaged_name(std::string_view name) {
  return parse_numbered(damaged_prefix, name);
}
std::optional<std::uint64_t> parse_newest_name(std::string_view name) {
  return parse_numbered(newest_prefix, name);
}

WalError corrupt(const std::string& name, std::uint64_t offset, const std::string& what) {
  return {WalError::Kind::corrupt, name + ", offset " + std::to_string(offset) + ": " + what +
                                       ". Records that were durable are damaged, and nothing was changed"};
}

WalError contradiction(const std::string& name, std::uint64_t offset, const std::string& what) {
  return {WalError::Kind::contradiction,
          name + ", offset " + std::to_string(offset) + ": " + what + ". Nothing was changed"};
}

WalError io_failure(const IoError& error) { return {WalError::Kind::io, error.what}; }

}  // namespace quorate::storage::wal
