#include "storage/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace quorate::storage {
namespace {

constexpr std::uint32_t reversed_polynomial = 0x82f63b78U;

// tables[k][b]: the checksum of byte b followed by k zero bytes, so that eight bytes are folded at a time.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? reversed_polynomial : 0U);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8U) ^ tables[0][before & 0xffU];
    }
  }
  return tables;
}

constexpr Tables tables = make_tables();

std::uint32_t byte_at(const char* at) { return static_cast<unsigned char>(*at); }

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(std::string_view data, std::uint32_t seed) {
  std::uint64_t crc = ~seed;
  const char* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left != 0; ++at, --left) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
  return ~narrow;
}
#endif

using Function = std::uint32_t (*)(std::string_view, std::uint32_t);

Function choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return crc32c_hardware;
#endif
  return crc32c_portable;
}

}  // namespace

std::uint32_t crc32c_portable(std::string_view data, std::uint32_t crc) {
  crc = ~crc;
  const char* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; at += 8, left -= 8) {
    crc ^= byte_at(at) | byte_at(at + 1) << 8U | byte_at(at + 2) << 16U | byte_at(at + 3) << 24U;
    crc = tables[7][crc & 0xffU] ^ tables[6][(crc >> 8U) & 0xffU] ^ tables[5][(crc >> 16U) & 0xffU] ^
          tables[4][crc >> 24U] ^ tables[3][byte_at(at + 4)] ^ tables[2][byte_at(at + 5)] ^
          tables[1][byte_at(at + 6)] ^ tables[0][byte_at(at + 7)];
  }
  for (; left != 0; ++at, --left) crc = (crc >> 8U) ^ tables[0][(crc ^ byte_at(at)) & 0xffU];
  return ~crc;
}

std::uint32_t crc32c(std::string_view data, std::uint32_t crc) {
  static const Function function = choose();
  return function(data, crc);
}

}  // namespace quorate::storage
