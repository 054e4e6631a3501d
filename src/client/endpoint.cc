#include "client/endpoint.h"

#include <charconv>

namespace quorate::client {

std::string Endpoint::authority() const {
  return host.find(':') == std::string::npos ? host + ":" + port : "[" + host + "]:" + port;
}

std::expected<Endpoint, std::string> parse_endpoint(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return std::unexpected("bad endpoint \"" + std::string(text) + "\": " + std::string(why) +
                           "; expected HOST:PORT, for example 127.0.0.1:2379");
  };
  std::string_view rest = text;
  auto scheme = Endpoint::Scheme::none;
  if (rest.starts_with("https://")) {
    scheme = Endpoint::Scheme::https;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    scheme = Endpoint::Scheme::http;
    rest.remove_prefix(7);
  }
  if (rest.ends_with("/")) rest.remove_suffix(1);
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return wrong("no port");
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong("an IPv6 address stands in brackets");
  }
  if (host.empty()) return wrong("no host");
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0 || number > 65535) {
    return wrong("the port is not a number from 1 to 65535");
  }
  return Endpoint{std::string(host), std::string(port), std::string(text), scheme};
}

std::expected<std::vector<Endpoint>, std::string> parse_endpoints(std::string_view text) {
  std::vector<Endpoint> endpoints;
  while (!text.empty()) {
    const auto comma = text.find(',');
    auto one = parse_endpoint(text.substr(0, comma));
    if (!one) return std::unexpected(std::move(one.error()));
    endpoints.push_back(std::move(*one));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (endpoints.empty()) return std::unexpected("no endpoint given; expected HOST:PORT[,HOST:PORT...]");
  return endpoints;
}

}  // namespace quorate::client
