// The JSON gateway: every method of the API as POST with JSON in and out (the paths of etcd's gateway). Proto
// field names, defaults left out, bytes in base64, 64-bit integers as strings; unknown fields are ignored.
// Streams answer with one {"result":...} a line; over WebSockets a message each, and take requests meanwhile.
// Large requests and answers are read and written aside: JSON takes its time.
#pragma once

#include <optional>
#include <string>
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

// Cuts a text that comes in pieces into JSON objects. Strings and nesting are followed, each byte once; the
// rest is the parser's business.
class Objects {
 public:
  void append(std::string_view text) { text_.append(text); }
  // The next object that is whole; valid until the next call of any kind.
  std::optional<std::string_view> next();
  // All that was not given yet, objects or not. There is nothing left then.
  std::string rest() {
    std::string all = text_.substr(done_);
    text_.clear();
    done_ = at_ = 0;
    return all;
  }
  // Something else stands where an object should begin.
  [[nodiscard]] bool nonsense() const { return nonsense_; }
  [[nodiscard]] std::size_t size() const { return text_.size() - done_; }  // not given yet

 private:
  std::string text_;
  std::size_t done_ = 0;  // given
  std::size_t at_ = 0;    // looked at
  int depth_ = 0;
  bool quoted_ = false;
  bool escaped_ = false;
  bool nonsense_ = false;
};

}  // namespace quorate::api::etcd
