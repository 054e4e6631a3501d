// A TCP proxy between nodes that can do to each direction of each link what networks do: hold everything
// back, delay, stall, break. It needs no privileges: nodes advertise the proxy's ports as their own.
//
// One listening port stands for one node. Who dials it is read from the first frame, net::Hello, whose
// peer_urls hold the dialler's own proxied port. Bytes from the dialler count as link (dialler, node),
// answers as the opposite link. TCP hides losses, so a lossy link is one that stalls for a retransmission now
// and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "core/rng.h"

namespace quorate::faults {

struct Link {
  bool blocked = false;  // nothing passes, not even the end of a connection; what was sent waits
  std::chrono::microseconds delay{};
  std::chrono::microseconds jitter{};  // uniform, on top
  unsigned stall_percent = 0;          // of the chunks
  std::chrono::microseconds stall{};
};

class Proxy {
 public:
  Proxy(boost::asio::io_context& context, std::uint64_t seed);
  ~Proxy();

  // Connections to 127.0.0.1:`port` go on to 127.0.0.1:`target`. False: the port is taken.
  [[nodiscard]] bool add(const std::string& node, std::uint16_t port, std::uint16_t target);
  void set(const std::string& from, const std::string& to, const Link& link);
  void reset(const std::string& a, const std::string& b);  // breaks the connections between the two

  struct Node;
  struct Pair;

 private:
  friend struct Pair;
  void accept(Node& node);
  [[nodiscard]] const Link& link(const std::string& from, const std::string& to) const;
  [[nodiscard]] std::string name_of(const std::vector<std::string>& peer_urls) const;

  boost::asio::io_context& context_;
  Rng rng_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::map<std::pair<std::string, std::string>, Link> links_;
  std::vector<std::weak_ptr<Pair>> pairs_;
};

// Obeys commands on standard input, one a line, each answered by "ok" or "error: ..."; returns at its end.
//   node NAME PORT TARGET | link FROM TO pass | link FROM TO block |
//   link FROM TO slow DELAY_MS JITTER_MS STALL_PERCENT STALL_MS | reset A B
int run_proxy(std::uint64_t seed);

}  // namespace quorate::faults
