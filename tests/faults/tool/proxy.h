// A TCP proxy between nodes that can do to each direction of each link what networks do: hold everything
// back, delay, stall, break, change bits. It needs no privileges: nodes advertise the proxy's ports as their
// own.
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
  unsigned corrupt_per_mille = 0;  // of the chunks have a bit flipped
};

class Proxy {
 public:
  Proxy(boost::asio::io_context& context, std::uint64_t seed);
  ~Proxy();

  // Connections to 127.0.0.1:`port` go on to 127.0.0.1:`target`. False: the port is taken.
  [[nodiscard]] bool add(const std::string& node, std::uint16_t port, std::uint16_t target);
  void set(const std::string& from, const std::string& to, const Link& link);
  // Breaks the connections between the two; tells how many there were.
  std::uint64_t reset(const std::string& a, const std::string& b);
  [[nodiscard]] std::uint64_t flipped() const { return flipped_; }  // bits, so far

  struct Node;
  struct Pair;

 private:
  friend struct Pair;
  void accept(Node& node);
  [[nodiscard]] const Link& link(const std::string& from, const std::string& to) const;
  [[nodiscard]] std::string name_of(const std::vector<std::string>& peer_urls) const;

  boost::asio::io_context& context_;
  Rng rng_;
  std::uint64_t flipped_ = 0;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::map<std::pair<std::string, std::string>, Link> links_;
  std::vector<std::weak_ptr<Pair>> pairs_;
};

// Obeys commands on standard input, one a line, each answered by "ok" and what was counted (connections
// broken, bits flipped so far; else 0), or by "error: ..."; returns at its end.
//   node NAME PORT TARGET | link FROM TO pass | link FROM TO block |
//   link FROM TO slow DELAY_MS JITTER_MS STALL_PERCENT STALL_MS | link FROM TO corrupt PER_MILLE |
//   reset A B | flipped
int run_proxy(std::uint64_t seed);

}  // namespace quorate::faults
