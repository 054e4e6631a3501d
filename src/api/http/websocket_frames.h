// The frames of a WebSocket (RFC 6455 §5), as a server reads and writes them. No I/O.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace quorate::http::websocket {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// The head of a frame that holds all of a message; its payload follows as it is.
[[nodiscard]] std::string frame_head(Opcode opcode, std::uint64_t payload_size);
// Sec-WebSocket-Accept, from the client's Sec-WebSocket-Key (§4.2.2).
[[nodiscard]] std::string accept_key(std::string_view key);

// Takes a client's bytes apart. Payload is handed on as it comes: a message of any size is not kept here.
class FrameReader {
 public:
  static constexpr std::size_t most_of_control = 125;
  struct Events {
    std::function<void(std::string_view)> data;  // of the message under way
    std::function<void()> message_end;
    std::function<void(Opcode, std::string_view)> control;
  };
  explicit FrameReader(Events events) : events_(std::move(events)) {}

  // False: the client broke the protocol; nothing more is read.
  [[nodiscard]] bool read(std::string_view bytes);

 private:
  [[nodiscard]] bool begin_frame();
  void payload(std::string_view masked);
  void end_frame();

  Events events_;
  std::string head_;     // of a frame, while it is not whole
  std::string control_;  // payload of a control frame
  std::string unmasked_;
  std::array<char, 4> mask_{};
  std::uint64_t left_ = 0;   // of the payload
  std::uint64_t taken_ = 0;  // of it
  Opcode opcode_{};          // of the frame
  bool in_frame_ = false;    // its head was read
  bool last_ = false;        // the frame ends its message
  bool in_message_ = false;  // a message has begun and its last frame has not come
};

}  // namespace quorate::http::websocket
