// What is framed and not yet taken by the flush: large bodies as they are, small ones copied together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "core/bytes.h"

namespace quorate::http {

class OutputQueue {
 public:
  void put(std::string_view text) { small_.append(text); }
  void put(const Bytes& body) {
    if (body.size() < worth_keeping) return put(body.view());
    large_.push_back(Bytes::adopt(std::exchange(small_, {})));
    large_.push_back(body);
  }
  // Appends to `out` until that has `upto` bytes: one body of any size costs the other connections no more
  // than their turn. How many bytes that were.
  std::size_t take(std::string& out, std::size_t upto) {
    const std::size_t before = out.size();
    while (out.size() < upto && !large_.empty()) {
      Bytes& first = large_.front();
      const std::size_t n = std::min(first.size(), upto - out.size());
      out.append(first.view().substr(0, n));
      first = first.slice(n);
      if (first.empty()) large_.pop_front();
    }
    if (large_.empty()) out.append(std::exchange(small_, {}));
    return out.size() - before;
  }

 private:
  static constexpr std::size_t worth_keeping = 16U << 10U;

  std::deque<Bytes> large_;
  std::string small_;  // behind them
};

}  // namespace quorate::http
