#include "api/http/websocket_frames.h"

#include <algorithm>
#include <utility>

#include <openssl/evp.h>

namespace quorate::http::websocket {

namespace {

constexpr std::size_t mask_bytes = 4;

std::uint8_t byte(std::string_view text, std::size_t at) { return static_cast<std::uint8_t>(text[at]); }

bool is_control(Opcode opcode) { return opcode >= Opcode::close; }

std::size_t extended_bytes(std::uint8_t length) { return length == 126 ? 2 : length == 127 ? 8 : 0; }

}  // namespace

std::string frame_head(Opcode opcode, std::uint64_t payload_size) {
  std::string head(1, static_cast<char>(0x80U | static_cast<unsigned>(opcode)));
  const unsigned length = payload_size < 126     ? static_cast<unsigned>(payload_size)
                          : payload_size < 65536 ? 126
                                                 : 127;
  head.push_back(static_cast<char>(length));
  for (std::size_t left = extended_bytes(static_cast<std::uint8_t>(length)); left != 0; --left)
    head.push_back(static_cast<char>(payload_size >> 8U * (left - 1)));
  return head;
}

std::string accept_key(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  std::array<unsigned char, 64> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

bool FrameReader::read(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!in_frame_) {
      head_.push_back(bytes.front());
      bytes.remove_prefix(1);
      if (!begin_frame()) return false;
    } else {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      payload(bytes.substr(0, n));
      bytes.remove_prefix(n);
    }
    if (in_frame_ && left_ == 0) end_frame();
  }
  return true;
}

// With each byte of a head: false if it is not allowed.
bool FrameReader::begin_frame() {
  if (head_.size() < 2) return true;
  const std::uint8_t first = byte(head_, 0), second = byte(head_, 1);
  const std::uint8_t length = second & 0x7FU;
  opcode_ = static_cast<Opcode>(first & 0x0FU);
  last_ = (first & 0x80U) != 0;
  if (head_.size() == 2) {
    const bool known = opcode_ <= Opcode::binary || (is_control(opcode_) && opcode_ <= Opcode::pong);
    const bool masked = (second & 0x80U) != 0, reserved = (first & 0x70U) != 0;
    if (!known || !masked || reserved) return false;
    if (is_control(opcode_) && (!last_ || length > most_of_control)) return false;
    if (!is_control(opcode_) && (opcode_ == Opcode::continuation) != in_message_) return false;
  }
  const std::size_t extended = extended_bytes(length);
  if (head_.size() < 2 + extended + mask_bytes) return true;
  left_ = extended == 0 ? length : 0;
  for (std::size_t i = 0; i < extended; ++i) left_ = left_ << 8U | byte(head_, 2 + i);
  if (left_ >> 63U != 0) return false;
  std::copy_n(head_.end() - mask_bytes, mask_bytes, mask_.begin());
  head_.clear();
  taken_ = 0;
  in_frame_ = true;
  return true;
}

void FrameReader::payload(std::string_view masked) {
  unmasked_.assign(masked);
  for (char& c : unmasked_) c = static_cast<char>(c ^ mask_[taken_++ % mask_bytes]);
  left_ -= masked.size();
  is_control(opcode_) ? void(control_ += unmasked_) : events_.data(unmasked_);
}

void FrameReader::end_frame() {
  in_frame_ = false;
  if (is_control(opcode_)) return events_.control(opcode_, std::exchange(control_, {}));
  in_message_ = !last_;
  if (last_) events_.message_end();
}

}  // namespace quorate::http::websocket
