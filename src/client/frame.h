// gRPC's message framing (grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"): one byte "compressed", four
// bytes big-endian length, the message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::client {

inline constexpr std::size_t kFrameHeader = 5;

inline void write_frame_header(char* to, std::uint32_t size) {
  to[0] = 0;
  to[1] = static_cast<char>(size >> 24);
  to[2] = static_cast<char>(size >> 16);
  to[3] = static_cast<char>(size >> 8);
  to[4] = static_cast<char>(size);
}

inline std::string frame(std::string_view message) {
  std::string out(kFrameHeader, '\0');
  write_frame_header(out.data(), static_cast<std::uint32_t>(message.size()));
  out.append(message);
  return out;
}

// Cuts a byte stream into messages. A message that arrives in one piece is handed on without a copy.
class Deframer {
 public:
  // Calls sink(std::string_view) for each complete message. False: compressed, or longer than `limit`, and
  // nothing after it can be understood.
  template <class Sink>
  [[nodiscard]] bool feed(std::string_view bytes, Sink&& sink, std::uint32_t limit = 0x7fffffff) {
    if (!pending_.empty()) {
      pending_.append(bytes);
      // A long message comes in many pieces: look at it again only when it may be whole.
      if (pending_.size() < kFrameHeader || (pending_[0] == 0 && length(pending_) <= limit &&
                                             pending_.size() - kFrameHeader < length(pending_))) {
        return true;
      }
      std::string whole;
      whole.swap(pending_);
      return cut(whole, sink, limit);
    }
    return cut(bytes, sink, limit);
  }
  [[nodiscard]] bool empty() const { return pending_.empty(); }
  void clear() { pending_.clear(); }

 private:
  static std::uint32_t length(std::string_view header) {
    const auto byte = [&](int i) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(header[i]));
    };
    return byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
  }

  template <class Sink>
  bool cut(std::string_view bytes, Sink& sink, std::uint32_t limit) {
    while (bytes.size() >= kFrameHeader) {
      const std::uint32_t size = length(bytes);
      if (bytes[0] != 0 || size > limit) return false;
      if (bytes.size() - kFrameHeader < size) break;
      sink(bytes.substr(kFrameHeader, size));
      bytes.remove_prefix(kFrameHeader + size);
    }
    pending_.assign(bytes);
    return true;
  }

  std::string pending_;
};

}  // namespace quorate::client
