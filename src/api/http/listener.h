// The shared port: HTTP/2 (prior knowledge, or ALPN over TLS) and HTTP/1.1 on one address.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/http/connection.h"

namespace quorate::http {

class Listener {
 public:
  // `handler` and `tls` must outlive the listener. Everything happens on `io`, run by one thread.
  Listener(boost::asio::io_context& io, Handler& handler, Limits limits = {}, tls::Context* tls = nullptr);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Port 0 takes a free one. The error names the address and the system's reason.
  [[nodiscard]] std::expected<void, std::string> listen(const std::string& host, std::uint16_t port);
  [[nodiscard]] std::uint16_t port() const;

  // Takes no new connections, lets open exchanges end (at most Limits::shutdown_grace), then calls `done`.
  void shutdown(std::function<void()> done);
  void close();  // at once

  struct Statistics {
    std::size_t connections = 0;
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  // beyond max_connections
  };
  [[nodiscard]] Statistics statistics() const;

 private:
  void accept();
  void accept_later();
  void arm_tick();
  void tick();
  void adopt(Tcp::socket socket);

  Hub hub_;
  tls::Context* tls_;
  Tcp::acceptor acceptor_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer accept_timer_;  // for another attempt
  bool ticking_ = false;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::function<void()> shut_down_;
  Clock::time_point shutdown_at_;
  std::uint64_t accepted_ = 0;
  std::uint64_t refused_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::http
