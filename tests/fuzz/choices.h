// Bytes as decisions: what a structure-aware target does is a function of its input, read from the front.
// Where the input ends, every further decision is 0, so a shorter input is a simpler run.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::fuzz {

class Choices {
 public:
  explicit Choices(std::string_view input) : rest_(input) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }
  bool flip() { return (byte() & 1U) != 0; }
  std::uint64_t raw(unsigned bytes) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(byte()) << (8 * i);
    return value;
  }
  // In [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    const unsigned bytes = bound <= 0x100U ? 1 : bound <= 0x1'0000U ? 2 : 8;
    return raw(bytes) % bound;
  }
  // Mostly small, sometimes at the edges of its type, sometimes anything.
  std::uint64_t number() {
    static constexpr std::array<std::uint64_t, 10> edges{0,
                                                         1,
                                                         127,
                                                         128,
                                                         UINT32_MAX,
                                                         std::uint64_t{1} << 32U,
                                                         std::uint64_t{1} << 62U,
                                                         INT64_MAX,
                                                         std::uint64_t{1} << 63U,
                                                         UINT64_MAX};
    const auto first = byte();
    if (first < 0xc0U) return first % 12;
    if (first < 0xe0U) return first;
    if (first < 0xf8U) return edges[first % edges.size()];
    return raw(8);
  }
  std::string_view take(std::size_t length) {
    const auto part = rest_.substr(0, std::min(length, rest_.size()));
    rest_.remove_prefix(part.size());
    return part;
  }
  std::string_view text(std::size_t longest) { return take(below(longest + 1)); }
  std::string_view rest() { return take(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace quorate::fuzz
