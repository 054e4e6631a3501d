// What a node keeps of one other (peers.h): its addresses and the two connections between them.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "net/peers.h"

namespace quorate::net {

struct Peers::Peer {
  explicit Peer(NodeId node, boost::asio::io_context& context, std::chrono::milliseconds first_retry)
      : id(node), retry(context), backoff(first_retry) {}

  NodeId id;
  bool wanted = false;  // to be dialled
  bool dialling = false;
  bool connected = false;  // as last told to the handler
  bool unflushed = false;
  std::vector<Address> addresses;
  std::size_t attempts = 0;
  boost::asio::steady_timer retry;
  std::chrono::milliseconds backoff;
  std::string last_reason;

  std::shared_ptr<Connection> out;  // dialled by this node
  bool out_ready = false;           // welcomed
  bool out_tls = false;
  std::shared_ptr<Connection> in;  // dialled by the other; always introduced
  std::uint64_t instance = 0;      // of the process behind `in`
  bool met = false;                // once introduced, in either direction
  std::vector<KeyspaceId> told;    // on `in`: what removed it

  std::uint64_t ping = 0;
  Connection::Clock::time_point pinged;
  std::chrono::microseconds round_trip{};
  Durations round_trips;
  std::shared_ptr<Traffic> traffic = std::make_shared<Traffic>();

  [[nodiscard]] Connection* usable() const {
    if (out_ready) return out.get();
    return in.get();
  }
};

}  // namespace quorate::net
