// What is fetched with GET: /health, /livez, /readyz, /version, /metrics, /debug/vars.
#pragma once

#include "api/etcd/core.h"
#include "api/etcd/metrics.h"
#include "api/etcd/router.h"
#include "api/http/exchange.h"

namespace quorate::api::etcd {

class Pages {
 public:
  Pages(Core& core, const Router& router, const CallMetrics& calls, const http::Handler::Traffic& traffic)
      : core_(core), router_(router), calls_(calls), traffic_(traffic) {}
  // False: the path is none of these, nothing was done.
  bool serve(http::Exchange& exchange);

 private:
  void health(http::Exchange& exchange);
  void probe(http::Exchange& exchange, std::string_view name, std::string_view check);
  void metrics(http::Exchange& exchange);
  void variables(http::Exchange& exchange);

  Core& core_;
  const Router& router_;
  const CallMetrics& calls_;
  const http::Handler::Traffic& traffic_;
};

// Answers with a whole text. To a HEAD request, as to a GET.
void answer_text(http::Exchange& exchange, int status, std::string_view content_type, std::string text);

// The value of `name` in "a=1&b=2"; nullopt when absent. Values are not unescaped: ours need none.
std::optional<std::string_view> query_value(std::string_view query, std::string_view name);

}  // namespace quorate::api::etcd
