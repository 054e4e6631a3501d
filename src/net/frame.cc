#include "net/frame.h"

#include <algorithm>
#include <cstring>

#include "storage/crc32c.h"
#include "tls/context.h"

namespace quorate::net {
namespace {

constexpr std::size_t smallest_chunk = 4U << 10U;
constexpr std::size_t largest_chunk = 256U << 10U;

template <class T>
void put_little_endian(char* out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<char>(value >> (8 * i));
}

template <class T>
T get_little_endian(const char* in) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<T>(static_cast<unsigned char>(in[i])) << (8 * i);
  return value;
}

struct Header {
  std::uint32_t length;
  std::uint32_t checksum;
  KeyspaceId keyspace;
};

Header read_header(const char* in) {
  return {get_little_endian<std::uint32_t>(in), get_little_endian<std::uint32_t>(in + 4),
          KeyspaceId(get_little_endian<std::uint64_t>(in + 8))};
}

// Over length, keyspace and payload, as they stand in the frame.
std::uint32_t checksum_of(const char* header, std::string_view payload) {
  std::uint32_t crc = storage::crc32c({header, 4});
  crc = storage::crc32c({header + 8, 8}, crc);
  return storage::crc32c(payload, crc);
}

}  // namespace

void put_header(std::string& out, KeyspaceId keyspace, std::string_view payload) {
  char header[header_bytes];
  put_little_endian(header, static_cast<std::uint32_t>(payload.size()));
  put_little_endian(header + 8, keyspace.value);
  put_little_endian(header + 4, checksum_of(header, payload));
  out.append(header, header_bytes);
}

FrameReader::FrameReader(std::size_t max_payload) : max_payload_(max_payload), chunk_(smallest_chunk) {}

void FrameReader::renew(std::size_t least) {
  // A large frame gets a buffer of its own: its entries may be kept for long, and nothing else with them.
  const std::size_t size = least > chunk_ / 2 ? least : chunk_;
  Bytes fresh = Bytes::uninitialized(size);
  const std::size_t rest = filled_ - parsed_;
  if (rest != 0) std::memcpy(const_cast<char*>(fresh.data()), buffer_.data() + parsed_, rest);
  buffer_ = std::move(fresh);
  parsed_ = 0;
  filled_ = rest;
}

FrameReader::Space FrameReader::prepare() {
  std::size_t wanted = header_bytes;
  if (checked_) wanted += read_header(buffer_.data() + parsed_).length;
  if (buffer_.size() - parsed_ < wanted || buffer_.size() == filled_) renew(wanted + header_bytes);
  // The part behind `filled_` was given to nobody yet: writing to it changes no slice.
  return {const_cast<char*>(buffer_.data()) + filled_, buffer_.size() - filled_};
}

void FrameReader::commit(std::size_t bytes) {
  if (bytes == buffer_.size() - filled_) {
    chunk_ = std::min(chunk_ * 2, largest_chunk);
  } else if (bytes < chunk_ / 8) {
    chunk_ = std::max(chunk_ / 2, smallest_chunk);
  }
  filled_ += bytes;
}

std::expected<std::optional<Incoming>, std::string> FrameReader::next() {
  const char* at = buffer_.data() + parsed_;
  std::size_t left = filled_ - parsed_;
  if (!greeted_) {
    const std::size_t compared = std::min(left, magic.size());
    if (compared != 0 && std::memcmp(at, magic.data(), compared) != 0) {
      return std::unexpected(
          tls::looks_like_tls({at, left})
              ? "the other side speaks TLS where plain text is expected; give this node certificates for "
                "peers and https URLs, or the other one http URLs"
              : "not a Quorate peer (its first bytes are of another protocol)");
    }
    if (left < magic.size()) return std::nullopt;
    greeted_ = true;
    parsed_ += magic.size();
    at += magic.size();
    left -= magic.size();
  }
  if (left < header_bytes) return std::nullopt;
  const Header header = read_header(at);
  const std::size_t limit = header.keyspace.none() ? max_control_bytes : max_payload_;
  if (header.length > limit) {
    return std::unexpected("a frame claims " + std::to_string(header.length) +
                           " bytes, more than the allowed " + std::to_string(limit));
  }
  checked_ = true;
  if (left < header_bytes + header.length) return std::nullopt;
  if (checksum_of(at, {at + header_bytes, header.length}) != header.checksum) {
    return std::unexpected("a frame's checksum does not match its content");
  }
  checked_ = false;
  Incoming incoming{header.keyspace, buffer_.slice(parsed_ + header_bytes, header.length)};
  parsed_ += header_bytes + header.length;
  return incoming;
}

}  // namespace quorate::net
