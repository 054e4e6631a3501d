// gRPC over HTTP/2 (grpc/grpc, doc/PROTOCOL-HTTP2.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/http/rpc.h"

namespace quorate::http::grpc {

[[nodiscard]] bool is_grpc(std::string_view content_type);
// "10S" and the like; nullopt when malformed.
[[nodiscard]] std::optional<Clock::duration> parse_timeout(std::string_view text);
[[nodiscard]] std::string percent_encode(std::string_view message);

// Cuts a body into messages: one byte of flags, four of length, the payload.
class Deframer {
 public:
  enum class Problem : std::uint8_t { none, compressed, too_large, no_memory };

  Deframer(CallHost& host) : host_(&host) {}
  ~Deframer() {
    if (counted_ != 0) host_->partial -= counted_;  // a call that has its request may outlive the host
  }
  Deframer(const Deframer&) = delete;
  Deframer& operator=(const Deframer&) = delete;

  // Takes from the front of `data`; a whole message, or nothing and all of `data` taken.
  std::optional<Message> next(std::string_view& data);
  [[nodiscard]] Problem problem() const { return problem_; }
  [[nodiscard]] bool midway() const { return !buffer_.empty(); }
  [[nodiscard]] std::uint64_t announced() const;  // length of the message that was begun

 private:
  void count(std::size_t n) {
    counted_ += n;
    host_->partial += n;
  }

  CallHost* host_;
  std::string buffer_;       // of an incomplete message, with its prefix
  std::size_t counted_ = 0;  // of buffer_, in host_->partial
  Problem problem_ = Problem::none;
};

// Answers `exchange` as a call of `method`.
void serve(Exchange& exchange, CallHost& host, const Method& method);
// Answers with a status alone, for what is no call at all (unknown methods).
void refuse(Exchange& exchange, const Status& status);

}  // namespace quorate::http::grpc
