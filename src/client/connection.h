// One HTTP/2 connection to one server (RFC 9113 through nghttp2), carrying any number of gRPC calls at once.
//
// Everything happens on the loop's thread. Requests started in one turn of the loop leave in one write; the
// answers of one read are delivered in one go. Nothing is copied between the socket's buffer and the handler
// when a message arrives whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/endpoint.h"
#include "client/loop.h"
#include "client/status.h"

namespace quorate::client {

using Metadata = std::vector<std::pair<std::string, std::string>>;

// Told of one call. The message is valid only during the call of on_message. on_end comes exactly once and is
// last: the handler may be reused or destroyed in it.
class CallHandler {
 public:
  CallHandler() = default;
  CallHandler(const CallHandler&) = delete;
  CallHandler& operator=(const CallHandler&) = delete;
  virtual ~CallHandler() = default;
  virtual void on_message(std::string_view message) = 0;
  virtual void on_end(const Status& status) = 0;
};

enum class CallId : std::uint64_t { none = 0 };

class Connection {
 public:
  explicit Connection(Loop& loop);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // done(ok) once the server has answered with its HTTP/2 settings; done(unavailable, why) when that fails or
  // takes longer than timeout.
  void connect(const Endpoint& endpoint, std::chrono::nanoseconds timeout, std::function<void(Status)> done);
  [[nodiscard]] bool open() const;

  // Starts a call. `path` ("/package.Service/Method") must outlive the connection; `frames` are framed
  // messages (client/frame.h) sent first; `half_close`: nothing follows them. A failure, too, arrives by
  // on_end, never from within start(). `handler` must live until on_end or cancel().
  CallId start(std::string_view path, std::string_view frames, bool half_close, CallHandler& handler,
               const Metadata& metadata = {});
  void send(CallId call, std::string_view frames, bool half_close);
  // The handler hears nothing more.
  void cancel(CallId call);

  // Sends an HTTP/2 PING when nothing came in for `period`; the connection fails if then nothing comes in for
  // `patience`.
  void keep_alive(std::chrono::nanoseconds period, std::chrono::nanoseconds patience);

  // Ends every call with `unavailable`.
  void close(const std::string& why);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace quorate::client
