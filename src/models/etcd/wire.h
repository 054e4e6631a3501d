// The protobuf wire format, by hand, for the few messages of the hot paths: a put is parsed without copying
// its key and value, and stored records are spliced into responses and events without being decoded.
// (protobuf.dev/programming-guides/encoding)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::models::etcd::wire {

enum class Type : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

constexpr std::size_t varint_size(std::uint64_t v) {
  std::size_t n = 1;
  while (v >= 0x80U) {
    v >>= 7U;
    ++n;
  }
  return n;
}

inline void append_varint(std::string& out, std::uint64_t v) {
  while (v >= 0x80U) {
    out.push_back(static_cast<char>(v | 0x80U));
    v >>= 7U;
  }
  out.push_back(static_cast<char>(v));
}

inline void append_tag(std::string& out, std::uint32_t field, Type type) {
  append_varint(out, (static_cast<std::uint64_t>(field) << 3U) | static_cast<std::uint64_t>(type));
}

// Takes a varint from the front of what this program wrote itself.
inline std::uint64_t take_varint(std::string_view& in) {
  std::uint64_t v = 0;
  for (unsigned shift = 0; !in.empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    v |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) break;
  }
  return v;
}

// A scalar field; absent where it has its default, as proto3 wants it.
inline void append_int(std::string& out, std::uint32_t field, std::int64_t v) {
  if (v == 0) return;
  append_tag(out, field, Type::varint);
  append_varint(out, static_cast<std::uint64_t>(v));
}

// A submessage, or an element of a repeated field: present even when empty.
inline void append_message(std::string& out, std::uint32_t field, std::string_view body) {
  append_tag(out, field, Type::bytes);
  append_varint(out, body.size());
  out.append(body);
}

inline void append_bytes(std::string& out, std::uint32_t field, std::string_view v) {
  if (!v.empty()) append_message(out, field, v);
}

// Walks the fields of one message. Views point into the input.
class Fields {
 public:
  explicit Fields(std::string_view input) : at_(input.data()), end_(input.data() + input.size()) {}

  // Moves to the next field; false at the end or at what is not protobuf (then ok() is false).
  bool next() {
    if (at_ == end_ || !ok_) return false;
    const std::uint64_t tag = take_varint();
    field_ = static_cast<std::uint32_t>(tag >> 3U);
    type_ = static_cast<Type>(tag & 7U);
    if (field_ == 0 || tag >> 32U != 0) ok_ = false;
    switch (type_) {
      case Type::varint: number_ = take_varint(); break;
      case Type::fixed64: bytes_ = take(8); break;
      case Type::bytes: bytes_ = take(take_varint()); break;
      case Type::fixed32: bytes_ = take(4); break;
      default: ok_ = false;  // groups: in no message of this API
    }
    return ok_;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool is(std::uint32_t field, Type type) const { return field_ == field && type_ == type; }
  [[nodiscard]] std::int64_t integer() const { return static_cast<std::int64_t>(number_); }
  [[nodiscard]] bool boolean() const { return number_ != 0; }
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  std::uint64_t take_varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) break;
      const auto byte = static_cast<unsigned char>(*at_++);
      v |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return v;
    }
    ok_ = false;
    return 0;
  }
  std::string_view take(std::uint64_t n) {
    if (n > static_cast<std::uint64_t>(end_ - at_)) {
      ok_ = false;
      return {};
    }
    const std::string_view part(at_, n);
    at_ += n;
    return part;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
  std::uint32_t field_ = 0;
  Type type_ = Type::varint;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace quorate::models::etcd::wire
