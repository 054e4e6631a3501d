// CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4), by the processor's instruction where it has one.
#pragma once

#include <cstdint>
#include <string_view>

namespace quorate::storage {

// Continues `crc`, the checksum of what came before: crc32c(b, crc32c(a)) == crc32c(a + b).
[[nodiscard]] std::uint32_t crc32c(std::string_view data, std::uint32_t crc = 0);

// The same by tables; what crc32c() falls back to.
[[nodiscard]] std::uint32_t crc32c_portable(std::string_view data, std::uint32_t crc = 0);

}  // namespace quorate::storage
