// Who may use the JSON gateway and the pages from a browser: names under which the server may be addressed
// (against DNS rebinding), and origins whose scripts may read the answers (CORS).
#pragma once

#include <string>
#include <vector>

#include "api/http/exchange.h"

namespace quorate::api::etcd {

class Access {
 public:
  // `hosts` empty: any. `origins` empty: none; "*": any.
  Access(std::vector<std::string> hosts, std::vector<std::string> origins);

  // True: answered already, since it may not or since it only asked whether it may.
  [[nodiscard]] bool answered(http::Exchange& exchange) const;
  // Browsers let every page speak WebSocket to every server, and tell where the page is from: so it is here
  // that other origins are turned away.
  [[nodiscard]] bool allows_websocket(const http::Exchange& exchange) const;

 private:
  [[nodiscard]] bool host_allowed(std::string_view host) const;

  struct Origin {
    std::string name;
    std::vector<http::Field> fields;  // of its answers
  };
  std::vector<std::string> hosts_;
  std::vector<Origin> origins_;
};

}  // namespace quorate::api::etcd
