#include "api/http/connection.h"

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "api/http/http2_stream.h"

namespace quorate::http {

namespace {
// The connection preface of HTTP/2 (RFC 9113 §3.4). No method of HTTP/1.1 begins like it, so four bytes tell;
// the session checks the rest. Waiting for more would hang clients that wait for our SETTINGS.
constexpr std::string_view http2_start = "PRI ";
constexpr std::size_t write_turn = 256U << 10U;
constexpr std::size_t lean_turn = 16U << 10U;  // while too much waits for clients
}  // namespace

Hub::Hub(boost::asio::io_context& reactor, Handler& the_handler, Limits the_limits)
    : io(&reactor),
      handler(&the_handler),
      limits(the_limits),
      now(Clock::now()),
      read_buffer(256U << 10U),
      streams(std::make_unique<StreamPool>()) {}
Hub::~Hub() = default;

void Hub::flush_soon(Connection& connection) {
  if (dirty_.empty()) {
    boost::asio::post(*io, [this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) flush_all();
    });
  }
  dirty_.push_back(std::static_pointer_cast<Connection>(connection.shared_from_this()));
}

void Hub::flush_all() {
  auto batch = std::exchange(dirty_, {});
  for (auto& weak : batch) {
    if (auto connection = weak.lock()) connection->flush();
  }
  batch.clear();
  if (dirty_.empty()) dirty_ = std::move(batch);  // keeps the capacity
}

void Hub::report(const std::string& remote, const std::string& why) {
  if (complaints_.fresh(remote, why)) spdlog::warn("turned away {}: {}", remote, why);
}

Connection::Connection(Hub& hub, const MakeTransport& make_transport)
    : hub_(hub),
      transport_(make_transport(*this)),
      head_since_(hub.now),
      last_activity_(hub.now),
      last_progress_(hub.now) {}

Connection::Connection(Hub& hub, Tcp::socket socket, tls::Context* tls)
    : Connection(hub, [&](Transport::Observer& observer) {
        return tls != nullptr ? make_tls_transport(std::move(socket), observer, *tls, hub.read_buffer)
                              : make_plain_transport(std::move(socket), observer, hub.read_buffer);
      }) {
  secure_ = tls != nullptr;
}

Connection::~Connection() { close(); }

void Connection::received(std::string_view data) {
  if (closed_ || failing_) return;
  hub_.handler->traffic.received += data.size();
  last_activity_ = hub_.now;
  if (session_) return feed(data);
  if (!early_.empty()) {
    early_.append(data);
    const std::string all = std::exchange(early_, {});
    return detect(all);
  }
  detect(data);
}

void Connection::detect(std::string_view data) {
  const std::size_t n = std::min(data.size(), http2_start.size());
  const bool matches = data.substr(0, n) == http2_start.substr(0, n);
  if (matches && n < http2_start.size()) {
    early_ = data;
    return;
  }
  if (tls::looks_like_tls(data)) hub_.report(transport_->remote(), "it speaks TLS, and this port does not");
  session_ = matches ? make_http2_session(hub_, *this) : make_http1_session(hub_, *this);
  if (shutting_down_) session_->begin_shutdown();
  feed(data);
}

void Connection::feed(std::string_view data) {
  if (!session_->received(data)) failing_ = true;
  change_session();
  const bool reading_head = session_->reading_head();
  if (reading_head && !awaiting_head_) head_since_ = hub_.now;
  awaiting_head_ = reading_head;
  flush_soon();
}

void Connection::flush_soon() {
  if (dirty_ || closed_) return;
  dirty_ = true;
  hub_.flush_soon(*this);
}

void Connection::flush() {
  dirty_ = false;
  if (closed_ || !session_ || transport_->blocked()) return;
  std::string& out = hub_.write_buffer;
  out.clear();
  const std::size_t turn = hub_.handler->backlog->full() ? lean_turn : write_turn;
  if (!session_->produce(out, turn)) failing_ = true;
  change_session();
  if (!out.empty()) {
    hub_.handler->traffic.sent += out.size();
    last_progress_ = hub_.now;
    const bool taken = transport_->write(out);
    if (!taken) hold(transport_->unsent());
    const bool more = out.size() >= turn;
    if (out.capacity() > 4 * write_turn) out = std::string();
    if (!taken) return;             // drained() comes back here
    if (more) return flush_soon();  // the other connections first
  }
  if (failing_ || session_->over()) close();
}

void Connection::tick() {
  if (closed_) return;
  const auto now = hub_.now;
  const auto& limits = hub_.limits;
  if (transport_->blocked()) {
    const std::size_t unsent = transport_->unsent();
    if (unsent != last_unsent_) last_progress_ = now;
    last_unsent_ = unsent;
    hold(unsent);
    if (now - last_progress_ > hub_.patience()) return close();
  } else {
    last_progress_ = now;
  }
  if (awaiting_head_ && now - head_since_ > limits.head_timeout) return close();
  if (idle() && !transport_->blocked() && now - last_activity_ > limits.idle_timeout) return begin_shutdown();
  if (!session_) return;
  session_->tick(now);
  if (session_->over() && !transport_->blocked()) close();
}

void Connection::begin_shutdown() {
  if (closed_ || shutting_down_) return;
  shutting_down_ = true;
  if (!session_) return close();
  session_->begin_shutdown();
  flush_soon();
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  hold(0);
  transport_->close();
  session_.reset();
}

void Connection::change_session() {
  auto next = session_->successor();
  if (!next) return;
  session_ = std::move(next);
  if (shutting_down_) session_->begin_shutdown();
}

void Connection::hold(std::size_t unsent) {
  hub_.handler->backlog->bytes += unsent - held_;
  held_ = unsent;
}

}  // namespace quorate::http
