#include "net/address.h"

#include <algorithm>
#include <charconv>

namespace quorate::net {
namespace {

std::string normal(const std::string& url) {
  auto address = parse_address(url);
  return address ? to_string(*address) : url;
}

}  // namespace

std::expected<Address, std::string> parse_address(std::string_view text) {
  const auto wrong = [&](const char* why) {
    return std::unexpected("'" + std::string(text) + "' " + why + "; write host:port or http://host:port");
  };
  Address address;
  std::string_view rest = text;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    address.tls = true;
  } else if (rest.find("://") != std::string_view::npos) {
    return wrong("has a scheme other than http and https");
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return wrong("has no port");
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return wrong("has an unfinished [address]");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong("has an IPv6 address without [brackets]");
  }
  if (host.empty()) return wrong("has no host");
  if (host.find_first_of(" /\t") != std::string_view::npos) return wrong("has a path or space in it");
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0 || number > 65535) {
    return wrong("has no port between 1 and 65535");
  }
  address.host = host;
  address.port = static_cast<std::uint16_t>(number);
  return address;
}

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string to_url(const Address& address) {
  return (address.tls ? "https://" : "http://") + to_string(address);
}

bool share_an_url(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::ranges::any_of(a, [&](const auto& one) {
    return std::ranges::any_of(b, [&](const auto& other) { return normal(one) == normal(other); });
  });
}

}  // namespace quorate::net
