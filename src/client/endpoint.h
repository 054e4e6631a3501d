// Where a server listens: "host:port", "[::1]:port", with or without "http://" or "https://".
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::tls {
class Context;
}

namespace quorate::client {

struct Endpoint {
  std::string host;
  std::string port;
  std::string text;  // as the user wrote it, for messages and tables
  enum class Scheme { none, http, https } scheme = Scheme::none;
  std::shared_ptr<tls::Context> tls{};  // spoken if it is there
  [[nodiscard]] std::string authority() const;
};

// The error says what is wrong with `text` and what is expected.
[[nodiscard]] std::expected<Endpoint, std::string> parse_endpoint(std::string_view text);

// Comma-separated.
[[nodiscard]] std::expected<std::vector<Endpoint>, std::string> parse_endpoints(std::string_view text);

}  // namespace quorate::client
