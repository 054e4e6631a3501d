#include "api/etcd/access.h"

#include <algorithm>

#include "api/etcd/pages.h"

namespace quorate::api::etcd {

Access::Access(std::vector<std::string> hosts, std::vector<std::string> origins) : hosts_(std::move(hosts)) {
  origins_.reserve(origins.size());  // fields point at the names
  for (auto& name : origins) {
    auto& origin = origins_.emplace_back(std::move(name));
    origin.fields = {{"access-control-allow-origin", origin.name},
                     {"access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE", true},
                     {"access-control-allow-headers", "accept, content-type, authorization", true}};
    if (origin.name != "*") origin.fields.push_back({"vary", "origin", true});
  }
}

bool Access::host_allowed(std::string_view host) const {
  if (hosts_.empty()) return true;
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else {
    host = host.substr(0, host.rfind(':'));
  }
  return std::ranges::find(hosts_, host) != hosts_.end();
}

bool Access::allows_websocket(const http::Exchange& exchange) const {
  const auto host = exchange.header("host"), from = exchange.header("origin");
  if (!exchange.secure() && !host_allowed(host)) return false;
  if (from.empty() || from == (exchange.secure() ? "https://" : "http://") + std::string(host)) return true;
  return std::ranges::any_of(origins_,
                             [&](const Origin& each) { return each.name == "*" || each.name == from; });
}

bool Access::answered(http::Exchange& exchange) const {
  if (!exchange.secure() && !host_allowed(exchange.header("host"))) {
    answer_text(exchange, 421, "text/plain; charset=utf-8",
                "this name of the server is not among its --host-whitelist\n");
    return true;
  }
  const auto from = exchange.header("origin");
  if (from.empty()) return false;
  const auto origin = std::ranges::find_if(
      origins_, [&](const Origin& each) { return each.name == "*" || each.name == from; });
  if (origin == origins_.end()) return false;  // the browser keeps the answer from its page
  exchange.add_fields(origin->fields);
  if (exchange.method() != "OPTIONS") return false;
  answer_text(exchange, 200, "text/plain", "");
  return true;
}

}  // namespace quorate::api::etcd
