// Protobuf by hand, where building a message object would cost more than the call: the response header in
// front of a body that is encoded already, and the events of a watch.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "models/etcd/wire.h"

namespace quorate::api::etcd {

// The first bytes of a response: the header, and a few fields more.
class Front {
 public:
  void varint(std::uint64_t v) {
    while (v >= 0x80U) {
      put(static_cast<char>(v | 0x80U));
      v >>= 7U;
    }
    put(static_cast<char>(v));
  }
  void field(unsigned number, std::uint64_t v) {  // left out when 0, as proto3 does
    if (v == 0) return;
    varint(number << 3U);
    varint(v);
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

  // Field 1: etcdserverpb.ResponseHeader.
  void header(std::uint64_t cluster, std::uint64_t member, std::int64_t revision, std::uint64_t term) {
    put(0x0A);
    const std::size_t length_at = size_;
    put(0);
    field(1, cluster);
    field(2, member);
    field(3, static_cast<std::uint64_t>(revision));
    field(4, term);
    text_[length_at] = static_cast<char>(size_ - length_at - 1);
  }

 private:
  void put(char c) { text_[size_++] = c; }
  // header 46 at most, one more field 11
  std::array<char, 64> text_;
  std::size_t size_ = 0;
};

using models::etcd::wire::append_varint;

inline void append_field(std::string& out, unsigned number, std::uint64_t v) {
  if (v == 0) return;
  append_varint(out, number << 3U);
  append_varint(out, v);
}
inline void append_bytes(std::string& out, unsigned number, std::string_view bytes) {
  append_varint(out, number << 3U | 2U);
  append_varint(out, bytes.size());
  out.append(bytes);
}

}  // namespace quorate::api::etcd
