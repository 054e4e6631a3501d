// Where a node is reached: "host:port", or the URL forms etcd uses for peers and clients.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::net {

struct Address {
  std::string host;  // a name or an IP literal; IPv6 without brackets
  std::uint16_t port = 0;
  bool tls = false;  // the URL said https
  friend bool operator==(const Address&, const Address&) = default;
};

// Accepts "host:port", "[v6]:port", "http://host:port" and "https://host:port"; the error says what is wrong
// with the text and how it should look.
[[nodiscard]] std::expected<Address, std::string> parse_address(std::string_view text);

[[nodiscard]] std::string to_string(const Address& address);  // "host:port", "[v6]:port"
[[nodiscard]] std::string to_url(const Address& address);     // "http://host:port"

// Whether one of them is the same address, however it is written.
[[nodiscard]] bool share_an_url(const std::vector<std::string>& a, const std::vector<std::string>& b);

}  // namespace quorate::net
