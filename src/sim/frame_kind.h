// What kind of message a frame carries, without decoding it: small numbers, equal for equal kinds.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace quorate::sim {

using FrameKind = std::uint8_t;
inline constexpr FrameKind frame_kind_count = 64;

namespace frame_kinds {
inline constexpr std::uint64_t each = 16;  // more alternatives than any of the three variants has
constexpr FrameKind numbered(std::uint64_t group, std::uint64_t alternative) {
  return static_cast<FrameKind>(group * each + (alternative < each ? alternative : each - 1));
}
}  // namespace frame_kinds
// Of a message of the agreement within a slot, by its number among those.
constexpr FrameKind agreement_kind(std::uint64_t alternative) {
  return frame_kinds::numbered(2, alternative);
}

// The codec writes a variant as its alternative's number, a struct and bytes as their length and content.
class FrameWalk {
 public:
  explicit FrameWalk(const Bytes& frame) : bytes_(frame.view()) {}
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; at_ < bytes_.size() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if (byte < 0x80U) break;
    }
    return value;
  }
  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

// `slots`: the protocol's first message carries one of an agreement within, whose kind counts then.
inline FrameKind frame_kind(const Bytes& frame, bool slots) {
  FrameWalk walk(frame);
  using frame_kinds::numbered;
  const std::uint64_t outer = walk.varint();
  if (outer != 0) return numbered(0, outer);
  walk.varint();  // the length of the ProtocolFrame
  walk.varint();  // of the message
  const std::uint64_t message = walk.varint();
  if (!slots || message != 0) return numbered(1, message);
  walk.varint();  // the length of the InSlot
  walk.varint();  // the slot
  walk.varint();  // the length of the message within
  return numbered(2, walk.varint());
}

// What a ProtocolFrame carries.
inline Bytes protocol_message(const Bytes& frame) {
  FrameWalk walk(frame);
  walk.varint();  // which alternative
  walk.varint();  // the length of the ProtocolFrame
  const std::uint64_t length = walk.varint();
  return frame.slice(walk.at(), length);
}

}  // namespace quorate::sim
