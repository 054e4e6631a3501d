#include "api/http/listener.h"

#include <netinet/tcp.h>

namespace quorate::http {

namespace {

// A peer that vanished without a word is noticed by the kernel within minutes.
void set_options(Tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  using Seconds = boost::asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using Interval = boost::asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  socket.set_option(Seconds(60), ignored);
  socket.set_option(Interval(10), ignored);
}

}  // namespace

Listener::Listener(boost::asio::io_context& io, Handler& handler, Limits limits, tls::Context* tls)
    : hub_(io, handler, limits), tls_(tls), acceptor_(io), timer_(io), accept_timer_(io) {}

Listener::~Listener() { close(); }

std::expected<void, std::string> Listener::listen(const std::string& host, std::uint16_t port) {
  boost::system::error_code error;
  Tcp::resolver resolver(*hub_.io);
  auto found = resolver.resolve(host, std::to_string(port),
                                Tcp::resolver::passive | Tcp::resolver::numeric_service, error);
  const std::string name = host + ":" + std::to_string(port);
  if (error) return std::unexpected("cannot resolve " + name + ": " + error.message());
  const Tcp::endpoint endpoint = *found.begin();
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    return std::unexpected("cannot listen on " + name + ": " + error.message());
  }
  accept();
  return {};
}

std::uint16_t Listener::port() const {
  boost::system::error_code ignored;
  return acceptor_.local_endpoint(ignored).port();
}

void Listener::accept() {
  acceptor_.async_accept([this, alive = std::weak_ptr<bool>(alive_)](const auto& error, Tcp::socket socket) {
    // Closed, maybe with a connection in hand that came in the same turn.
    if (alive.expired() || !acceptor_.is_open()) return;
    if (error) return accept_later();
    adopt(std::move(socket));
    accept();
  });
}

// Out of descriptors or memory: what is open goes on, and ends in time, which makes room.
void Listener::accept_later() {
  accept_timer_.expires_after(std::chrono::milliseconds(100));
  accept_timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](const auto& cancelled) {
    if (!cancelled && !alive.expired() && acceptor_.is_open()) accept();
  });
}

void Listener::adopt(Tcp::socket socket) {
  if (connections_.size() >= hub_.limits.max_connections || shut_down_) {
    ++refused_;
    return;
  }
  ++accepted_;
  set_options(socket);
  if (connections_.empty()) hub_.now = Clock::now();
  auto connection = std::make_shared<Connection>(hub_, std::move(socket), tls_);
  connections_.insert(connection);
  connection->start();
  arm_tick();
}

void Listener::arm_tick() {
  if (ticking_ || connections_.empty()) return;  // an idle port wakes nobody
  ticking_ = true;
  timer_.expires_after(hub_.limits.tick);
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](const auto& cancelled) {
    if (cancelled || alive.expired()) return;
    ticking_ = false;
    tick();
  });
}

void Listener::tick() {
  hub_.now = Clock::now();
  for (auto at = connections_.begin(); at != connections_.end();) {
    (*at)->tick();
    at = (*at)->closed() ? connections_.erase(at) : std::next(at);
  }
  if (shut_down_ && (connections_.empty() || hub_.now >= shutdown_at_)) {
    auto done = std::exchange(shut_down_, nullptr);
    close();
    return done();
  }
  arm_tick();
}

void Listener::shutdown(std::function<void()> done) {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  hub_.now = Clock::now();
  shutdown_at_ = hub_.now + hub_.limits.shutdown_grace;
  shut_down_ = std::move(done);
  for (const auto& connection : connections_) connection->begin_shutdown();
  if (connections_.empty()) {
    boost::asio::post(*hub_.io, [this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) tick();
    });
  }
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  timer_.cancel();
  accept_timer_.cancel();
  for (const auto& connection : connections_) connection->close();
  connections_.clear();
}

Listener::Statistics Listener::statistics() const { return {connections_.size(), accepted_, refused_}; }

}  // namespace quorate::http
