// The client's end of a TLS connection, apart from any socket: ciphertext in and out, plaintext in and out.
// For whoever reads and writes its socket itself.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "tls/context.h"

namespace quorate::tls {

class Channel {
 public:
  // To `host`, for which the server's certificate must be valid. The handshake begins with the first
  // receive(), which may be of nothing.
  Channel(std::shared_ptr<Context> context, const std::string& host);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Takes what came from the server, and appends what it means to `plain`. The error says what went wrong,
  // and what to do about it; what is to be sent is to be sent nevertheless (an alert).
  [[nodiscard]] std::expected<void, std::string> receive(std::string_view cipher, std::string& plain);
  // What is said before the handshake is over waits for it.
  void send(std::string_view plain);
  // Appends what is to be sent.
  void take_output(std::string& cipher);
  // What it means that the server hung up.
  [[nodiscard]] std::string hang_up() const;

 private:
  struct Free {
    void operator()(SSL* connection) const;
  };
  bool shake_hands();
  void send_now(std::string_view plain);
  [[nodiscard]] std::string failure() const;

  std::shared_ptr<Context> context_;
  std::unique_ptr<SSL, Free> connection_;
  BIO* in_;   // the connection's
  BIO* out_;  // likewise
  std::string waiting_;
};

}  // namespace quorate::tls
