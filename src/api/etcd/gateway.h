// The JSON gateway: every method of the API as POST with JSON in and out (the paths of etcd's gateway). Proto
// field names, defaults left out, bytes in base64, 64-bit integers as strings; unknown fields are ignored.
// Streams answer with one {"result":...} a line.
// Large requests and answers are read and written aside: JSON takes its time.
#pragma once

#include <string_view>
#include <unordered_map>

#include "api/etcd/aside.h"
#include "api/etcd/router.h"
#include "api/http/rpc.h"

namespace quorate::api::etcd {

class Gateway {
 public:
  Gateway(const Router& router, Aside& aside);
  [[nodiscard]] const Endpoint* find(std::string_view path) const;
  // Answers `exchange` as a call of `endpoint`.
  void serve(http::Exchange& exchange, http::CallHost& host, const Endpoint& endpoint);

 private:
  Aside* aside_;
  std::unordered_map<std::string_view, const Endpoint*> by_path_;
};

// Cuts the first JSON value off `text`; an object, or nothing when there is none. Strings and nesting are
// followed, the rest is the parser's business.
std::string_view first_object(std::string_view& text);

}  // namespace quorate::api::etcd
