// What the exchanges of HTTP/1.1 and WebSocket have in common: a connection carries one at a time, and their
// output waits in one queue.
#pragma once

#include <memory>
#include <string>

#include "api/http/connection.h"
#include "api/http/exchange.h"
#include "api/http/output_queue.h"

namespace quorate::http {

class SerialExchange : public Exchange {
 public:
  void set_deadline(Clock::time_point at) final { deadline_ = at; }

  void check_deadline(Clock::time_point now) {
    if (deadline_ > now) return;
    clear_deadline();
    if (const ReceiverPtr receiver = receiver_) receiver->deadline();
  }
  // Little is queued again.
  void tell_writable() {
    if (!std::exchange(was_full_, false)) return;
    if (const ReceiverPtr receiver = receiver_) receiver->writable();
  }
  [[nodiscard]] bool much_queued() const { return queued_ > high_water_ / 2; }

  // The end of an exchange, which is gone then.
  template <class Kind>
  static void end(std::unique_ptr<Kind>& exchange) {
    if (!exchange) return;
    const auto ended = std::move(exchange);
    ended->connection_ = nullptr;  // calls of the receiver go nowhere from here on
    ended->unqueued(ended->queued_);
    if (const ReceiverPtr receiver = std::move(ended->receiver_)) receiver->closed();
  }

 protected:
  SerialExchange(Hub& hub, Connection& connection) : connection_(&connection) {
    high_water_ = hub.limits.stream_high_water;
    backlog_ = hub.handler->backlog.get();
    secure_ = connection.secure();
  }
  ~SerialExchange() = default;

  [[nodiscard]] bool over() const { return connection_ == nullptr; }
  void flush_soon() { connection_->flush_soon(); }

  OutputQueue output_;

 private:
  Connection* connection_;
};

}  // namespace quorate::http
