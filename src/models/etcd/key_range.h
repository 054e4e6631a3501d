// The range a request names with `key` and `range_end`: the one key, [key, range_end), or, with range_end
// "\0", everything from key on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::models::etcd {

struct KeyRange {
  enum class Kind : std::uint8_t { point, bounded, unbounded };

  std::string begin;
  std::string end;  // of a bounded one
  Kind kind = Kind::point;

  static KeyRange of(std::string_view key, std::string_view range_end) {
    if (range_end.empty()) return {std::string(key), {}, Kind::point};
    if (range_end == std::string_view("\0", 1)) return {std::string(key), {}, Kind::unbounded};
    return {std::string(key), std::string(range_end), Kind::bounded};
  }
  // True if `key`, known to be >= begin, lies behind the range.
  [[nodiscard]] bool ends_before(std::string_view key) const {
    return kind == Kind::point ? key != begin : kind == Kind::bounded && key >= end;
  }
  [[nodiscard]] bool contains(std::string_view key) const { return key >= begin && !ends_before(key); }
};

}  // namespace quorate::models::etcd
