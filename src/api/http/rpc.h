// Remote procedure calls, whatever carries them: gRPC (grpc.h) or a JSON gateway. A method gets its request
// as encoded bytes and answers with encoded bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/http/code.h"
#include "api/http/exchange.h"
#include "core/bytes.h"

namespace quorate::http {

int http_status(Code code);  // the mapping of grpc-gateway

struct Status {
  Code code = Code::ok;
  std::string message;
  [[nodiscard]] bool ok() const { return code == Code::ok; }
};

// A request in encoded form. Room for framing is kept in front of it, so that a tag can be put there without
// moving the payload.
class Message {
 public:
  static constexpr std::size_t room = 5;

  Message() : buffer_(room, '\0') {}
  static Message with_room(std::string buffer) {
    return Message(std::move(buffer));
  }  // `room` bytes, payload
  static Message copy(std::string_view payload) {
    Message m;
    m.buffer_.append(payload);
    return m;
  }
  [[nodiscard]] std::string_view view() const { return std::string_view(buffer_).substr(room); }
  [[nodiscard]] std::size_t size() const { return buffer_.size() - room; }
  [[nodiscard]] Bytes tagged(std::uint8_t tag) && {  // one byte, then the payload
    buffer_[room - 1] = static_cast<char>(tag);
    return Bytes::adopt(std::move(buffer_)).slice(room - 1);
  }

 private:
  explicit Message(std::string buffer) : buffer_(std::move(buffer)) {}
  std::string buffer_;
};

class Call;
using CallPtr = boost::intrusive_ptr<Call>;

// What a streaming call does with what happens to it. Destroyed when the call is over, for whatever reason.
class CallStream {
 public:
  CallStream() = default;
  CallStream(const CallStream&) = delete;
  CallStream& operator=(const CallStream&) = delete;
  virtual ~CallStream() = default;
  virtual void message(Message) {}
  virtual void half_closed() {}  // the client sends no more
  virtual void writable() {}
};

struct Method {
  std::string path;  // "/etcdserverpb.KV/Range"
  bool client_streams = false;
  bool server_streams = false;
  // One request: answers now or later, or attaches a stream and goes on sending.
  std::function<void(CallPtr, Message)> call = {};
  // client_streams: opened by the head, before any message.
  std::function<std::unique_ptr<CallStream>(CallPtr)> open = {};
  std::size_t number = 0;  // in the order of registration
};

// Decides which calls may begin, and counts.
class CallHost {
 public:
  CallHost() = default;
  CallHost(const CallHost&) = delete;
  CallHost& operator=(const CallHost&) = delete;
  virtual ~CallHost() = default;
  virtual Status admit(const Call& call) = 0;
  virtual void started(const Method& method) = 0;
  virtual void handled(const Method& method, Code code, Clock::duration took) = 0;

  std::size_t max_message = (3U << 19U) + (1U << 19U);  // etcd: 1.5 MiB and 512 KiB for gRPC
  std::size_t max_partial = 256U << 20U;                // of all messages that have begun to arrive
  std::size_t partial = 0;                              // how much that is now
};

class Call : public Receiver {
 public:
  Call(CallHost& host, const Method& method, Exchange& exchange);
  ~Call() override;

  [[nodiscard]] const Method& method() const { return *method_; }
  [[nodiscard]] std::string_view header(std::string_view name) const {
    return exchange_ ? exchange_->header(name) : "";
  }
  [[nodiscard]] bool open() const {
    return exchange_ != nullptr && !done_;
  }  // false: nothing sent arrives any more
  [[nodiscard]] std::size_t queued() const { return exchange_ ? exchange_->queued() : 0; }
  [[nodiscard]] bool has_room() const { return open() && exchange_->has_room(); }
  // Too much waits for clients to read it: not the time to begin what has a large answer.
  [[nodiscard]] bool crowded() const { return open() && exchange_->backlog().full(); }

  // One message: `front` (at most 60 bytes) and `body` together. Ignored when not open.
  virtual void send(std::string_view front, Bytes body) = 0;
  void finish(Status status);
  void reply(std::string_view front, Bytes body) {
    send(front, std::move(body));
    finish({});
  }
  void attach(std::unique_ptr<CallStream> stream);
  [[nodiscard]] CallStream* stream() const { return stream_.get(); }

  void writable() override;
  void deadline() override;
  void closed() override;

 protected:
  virtual void end(const Status& status) = 0;  // tells the client
  void begin(Message message);                 // runs a method of one request
  bool begin_stream();                         // opens a client-streaming method; false: not admitted
  void set_deadline(Clock::time_point at) {
    if (exchange_) exchange_->set_deadline(at);
  }
  void settle(Code code);
  // Whether the one answer of a call may wait for its client; if not, the client has been told.
  [[nodiscard]] bool admits(std::size_t answer);

  CallHost* host_;
  const Method* method_;
  Exchange* exchange_;
  std::unique_ptr<CallStream> stream_;
  Clock::time_point began_;
  bool done_ = false;
  bool settled_ = false;
};

}  // namespace quorate::http
