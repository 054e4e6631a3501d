// One client connection: finds out which protocol it speaks, then carries bytes between transport and
// session.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/http/exchange.h"
#include "api/http/limits.h"
#include "api/http/transport.h"

namespace quorate::http {

class Connection;
class StreamPool;

// What the connections of one listener share. Everything runs on the listener's reactor.
struct Hub {
  Hub(boost::asio::io_context& reactor, Handler& the_handler, Limits the_limits);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  boost::asio::io_context* io;
  Handler* handler;
  Limits limits;
  Clock::time_point now;  // of the last tick: precise enough for time-outs
  ReadBuffer read_buffer;
  std::string write_buffer;
  std::unique_ptr<StreamPool> streams;
  std::size_t arriving = 0;  // bytes of HTTP/1.1 requests not yet whole, or not yet begun

  // Output of one turn of the reactor is collected: connections with something to say are flushed once, after
  // the handlers that are ready now.
  void flush_soon(Connection& connection);
  // How long a client may take nothing of what waits for it.
  [[nodiscard]] Clock::duration patience() const {
    return handler->backlog->pressed() ? limits.pressed_timeout : limits.stall_timeout;
  }
  // Logs why somebody is turned away, if that is news.
  void report(const std::string& remote, const std::string& why);

 private:
  void flush_all();
  std::vector<std::weak_ptr<Connection>> dirty_;
  tls::Complaints complaints_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// One protocol on one connection.
class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;  // closes its exchanges

  [[nodiscard]] virtual bool received(std::string_view data) = 0;  // false: the client broke the protocol
  [[nodiscard]] virtual bool produce(std::string& out, std::size_t about) = 0;  // false: likewise
  [[nodiscard]] virtual bool over() const = 0;          // nothing to say or hear any more: close once flushed
  [[nodiscard]] virtual bool idle() const = 0;          // no exchange open
  [[nodiscard]] virtual bool reading_head() const = 0;  // a request head has begun and is not complete
  virtual void tick(Clock::time_point now) = 0;         // deadlines of exchanges
  virtual void begin_shutdown() = 0;                    // finish what is open, take nothing new
  // Who goes on, if the protocol has just been changed. Asked for after each of the above.
  [[nodiscard]] virtual std::unique_ptr<Session> successor() { return nullptr; }
};

class Connection final : public Transport::Observer {
 public:
  using MakeTransport = std::function<std::unique_ptr<Transport>(Transport::Observer&)>;

  Connection(Hub& hub, Tcp::socket socket, tls::Context* tls);
  Connection(Hub& hub, const MakeTransport& make_transport);  // over anything that carries bytes
  ~Connection() override;

  void start() { transport_->start(); }
  void received(std::string_view data) override;
  void drained() override {
    hold(0);
    flush();
  }
  void lost() override { close(); }

  void flush();  // now; sessions use flush_soon()
  void flush_soon();
  void tick();
  void begin_shutdown();
  void close();
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] bool idle() const { return !session_ || session_->idle(); }
  [[nodiscard]] Hub& hub() { return hub_; }
  [[nodiscard]] bool secure() const { return secure_; }
  [[nodiscard]] Transport& transport() { return *transport_; }

 private:
  friend struct Hub;
  void detect(std::string_view data);
  void feed(std::string_view data);
  void hold(std::size_t unsent);
  void change_session();

  Hub& hub_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Session> session_;
  std::string early_;             // bytes before the protocol is known: at most three
  Clock::time_point head_since_;  // when the head being waited for began
  Clock::time_point last_activity_;
  Clock::time_point last_progress_;  // of output
  std::size_t last_unsent_ = 0;
  std::size_t held_ = 0;  // of the handler's backlog: what the transport could not send yet
  bool awaiting_head_ = true;
  bool secure_ = false;  // TLS
  bool dirty_ = false;
  bool shutting_down_ = false;
  bool failing_ = false;  // broken by the client: closed once its last words are flushed
  bool closed_ = false;
};

std::unique_ptr<Session> make_http1_session(Hub& hub, Connection& connection);
std::unique_ptr<Session> make_http2_session(Hub& hub, Connection& connection);

}  // namespace quorate::http
