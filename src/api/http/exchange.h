// One HTTP request and its response, the same over HTTP/1.1 and HTTP/2. Single-threaded: every call is made
// on the reactor of the listener.
//
//   Handler::handle(exchange)   once the request's head is there; the handler accepts with a Receiver
//   Receiver::body, body_end    the request's body as it comes
//   Exchange::respond, write, finish   the response, at any time from then on
//   Receiver::closed            the last call of every exchange: from here on the Exchange is gone
//
// Back-pressure: write() always takes the piece; a sender of streams stops once !has_room() and goes on at
// Receiver::writable().
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "core/bytes.h"

namespace quorate::http {

using Clock = std::chrono::steady_clock;

struct Field {
  std::string_view name;  // lower case
  std::string_view value;
  bool literal = false;  // name and value outlive the program: no copy is made
};

// A part of a body: a few bytes in front (framing, a header that is not worth a buffer) and a shared payload.
class Piece {
 public:
  static constexpr std::size_t front_capacity = 72;

  Piece() = default;
  explicit Piece(Bytes body) : body_(std::move(body)) {}
  Piece(std::string_view front, Bytes body) : body_(std::move(body)) { append_front(front); }

  void append_front(std::string_view text) {
    const std::size_t room = front_capacity - front_size_;
    const std::size_t n = text.size() < room ? text.size() : room;
    if (n != 0) std::memcpy(front_.data() + front_size_, text.data(), n);
    front_size_ = static_cast<std::uint8_t>(front_size_ + n);
  }
  [[nodiscard]] std::string_view front() const { return {front_.data(), front_size_}; }
  [[nodiscard]] const Bytes& body() const { return body_; }
  [[nodiscard]] std::size_t size() const { return front_size_ + body_.size(); }

 private:
  std::array<char, front_capacity> front_;
  std::uint8_t front_size_ = 0;
  Bytes body_;
};

class Receiver {
 public:
  Receiver() = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  virtual ~Receiver() = default;

  virtual void body(std::string_view chunk) = 0;
  virtual void body_end() = 0;
  virtual void writable() {}  // little is queued again, after has_room() was false
  virtual void deadline() {}  // the time given to Exchange::set_deadline has passed
  virtual void closed() = 0;  // answered in full, or reset by the client, or the connection is lost

  friend void intrusive_ptr_add_ref(Receiver* r) { ++r->references_; }
  friend void intrusive_ptr_release(Receiver* r) {
    if (--r->references_ == 0) delete r;
  }

 private:
  std::uint32_t references_ = 0;
};
using ReceiverPtr = boost::intrusive_ptr<Receiver>;

enum class Version : std::uint8_t { http1, http2, websocket };

// Output that waits for clients to take it, over all connections of a handler. Each connection's is bounded
// by itself; many that ask for much and read nothing are bounded here.
struct Backlog : std::enable_shared_from_this<Backlog> {
  static constexpr std::size_t small = 32U << 10U;  // an answer that always finds room
  static constexpr std::size_t lean = 16U << 10U;   // what a streaming sender may queue while there is none

  std::size_t bytes = 0;
  std::size_t limit = std::size_t{1} << 30U;

  [[nodiscard]] bool full() const { return bytes >= limit; }
  [[nodiscard]] bool pressed() const { return bytes >= limit / 2; }  // who takes nothing is cut off sooner
  [[nodiscard]] bool takes(std::size_t more) const { return more <= small || bytes + more <= limit; }
};

class Exchange {
 public:
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] virtual Version version() const = 0;
  [[nodiscard]] virtual std::string_view method() const = 0;
  [[nodiscard]] virtual std::string_view target() const = 0;                             // path and query
  [[nodiscard]] virtual std::string_view header(std::string_view lower_name) const = 0;  // empty if absent

  [[nodiscard]] std::string_view path() const { return target().substr(0, target().find('?')); }
  [[nodiscard]] std::string_view query() const {
    const auto at = target().find('?');
    return at == std::string_view::npos ? std::string_view() : target().substr(at + 1);
  }

  void accept(ReceiverPtr receiver) { receiver_ = std::move(receiver); }
  [[nodiscard]] const ReceiverPtr& receiver() const { return receiver_; }

  // The head, once. `end`: no body follows, and `fields` may hold gRPC's status (trailers-only).
  virtual void respond(int status, std::span<const Field> fields, bool end = false) = 0;
  virtual void write(Piece piece) = 0;
  virtual void finish(std::span<const Field> trailers = {}) = 0;  // HTTP/1.1 drops the trailers
  virtual void abort() = 0;                                       // ends the exchange without a proper end

  [[nodiscard]] bool secure() const { return secure_; }  // it came over TLS
  // Goes into the head of the response, whoever writes it; must live as long as the exchange.
  void add_fields(std::span<const Field> fields) { added_ = fields; }

  // False: writable() follows.
  [[nodiscard]] bool has_room() {
    const bool room = queued_ < high_water();
    if (!room) was_full_ = true;
    return room;
  }
  [[nodiscard]] std::size_t queued() const { return queued_; }  // bytes not yet taken by the connection
  [[nodiscard]] bool responded() const { return responded_; }
  [[nodiscard]] bool finished() const { return finished_; }

  virtual void set_deadline(Clock::time_point at) = 0;  // checked at the listener's tick
  void clear_deadline() { deadline_ = Clock::time_point::max(); }
  [[nodiscard]] Backlog& backlog() { return *backlog_; }

 protected:
  Exchange() = default;
  ~Exchange() = default;

  [[nodiscard]] std::size_t high_water() const { return backlog_->full() ? Backlog::lean : high_water_; }
  void queued(std::size_t bytes) {
    queued_ += bytes;
    backlog_->bytes += bytes;
  }
  void unqueued(std::size_t bytes) {
    queued_ -= bytes;
    backlog_->bytes -= bytes;
  }

  ReceiverPtr receiver_;
  Backlog* backlog_ = nullptr;
  std::span<const Field> added_;
  std::size_t queued_ = 0;
  std::size_t high_water_ = 256U << 10U;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool responded_ = false;
  bool finished_ = false;
  bool was_full_ = false;  // has_room() has been false
  bool secure_ = false;
};

class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;
  // Must accept a receiver or answer in full (respond with `end`, or respond, write and finish).
  virtual void handle(Exchange& exchange) = 0;
  // Whether a client that wants to may speak WebSocket to what `exchange` asks for: handle() is then called
  // with an exchange of that kind.
  virtual bool speaks_websocket(const Exchange&) { return false; }

  struct Traffic {  // of all its connections, as on the wire
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
  };
  Traffic traffic;
  const std::shared_ptr<Backlog> backlog = std::make_shared<Backlog>();
};

}  // namespace quorate::http
