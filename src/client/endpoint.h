// Where a server listens: "host:port", "[::1]:port", with or without "http://".
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::client {

struct Endpoint {
  std::string host;
  std::string port;
  std::string text;  // as the user wrote it, for messages and tables
  [[nodiscard]] std::string authority() const;
};

// The error says what is wrong with `text` and what is expected.
[[nodiscard]] std::expected<Endpoint, std::string> parse_endpoint(std::string_view text);

// Comma-separated.
[[nodiscard]] std::expected<std::vector<Endpoint>, std::string> parse_endpoints(std::string_view text);

}  // namespace quorate::client
