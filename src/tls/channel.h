// One end of a TLS connection, apart from any socket: ciphertext in and out, plaintext in and out. For
// whoever reads and writes its socket itself. Costs little memory while nothing is said.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "tls/context.h"

namespace quorate::tls {

class Channel {
 public:
  // The end that `context` is for; it must live as long. A client's `host`: for which the server's
  // certificate must be valid; its handshake begins with the first receive(), which may be of nothing.
  explicit Channel(Context& context, const std::string& host = "");
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Takes what came from the other side, and appends what it means to `plain`. The error says what went
  // wrong, and what to do about it; what is to be sent is to be sent nevertheless (an alert).
  [[nodiscard]] std::expected<void, std::string> receive(std::string_view cipher, std::string& plain);
  // What is said before the handshake is over waits for it.
  void send(std::string_view plain);
  // What is to be sent to the other side now; valid until the next call of anything else.
  [[nodiscard]] std::string_view output() const;
  void output_taken();

  [[nodiscard]] bool ready() const;  // the handshake is over
  // What it means that the other side hung up.
  [[nodiscard]] std::string hang_up() const;

 private:
  struct Free {
    void operator()(SSL* connection) const;
  };
  bool shake_hands();
  void send_now(std::string_view plain);
  [[nodiscard]] std::expected<void, std::string> read(std::string& plain);
  [[nodiscard]] std::string failure() const;

  Context& context_;
  std::unique_ptr<SSL, Free> connection_;
  BIO* in_;   // the connection's
  BIO* out_;  // likewise
  std::string waiting_;
};

}  // namespace quorate::tls
