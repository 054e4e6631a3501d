// A blocking client of a cluster: calls and streams over one connection, with fail-over to the next endpoint.
//
// Everything runs on the caller's thread inside the blocking calls (client/loop.h); timers and signals set on
// loop() are served meanwhile.
#pragma once

#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/connection.h"
#include "client/endpoint.h"
#include "client/loop.h"
#include "client/status.h"

namespace quorate::client {

// A remote procedure: its path and its messages (client/etcd.h lists etcd's).
template <class Request_, class Response_>
struct Rpc {
  using Request = Request_;
  using Response = Response_;
  std::string_view path;
  bool repeatable = false;  // having it done twice is as good as once: retried even if it may have happened
};

struct Options {
  std::vector<Endpoint> endpoints;
  std::chrono::nanoseconds dial_timeout = std::chrono::seconds(2);
  std::chrono::nanoseconds command_timeout = std::chrono::seconds(5);   // of one call, fail-over included
  std::chrono::nanoseconds keep_alive_time = std::chrono::seconds(10);  // Connection::keep_alive
  std::chrono::nanoseconds keep_alive_timeout = std::chrono::seconds(10);
  Metadata metadata;  // sent with every call
};

// An open stream. Messages wait in memory only until the next read: while nobody reads, nothing is received.
class RawStream : private CallHandler {
 public:
  RawStream(Loop& loop, std::shared_ptr<Connection> connection)
      : loop_(loop), connection_(std::move(connection)) {}
  ~RawStream() override;

  void start(std::string_view path, std::string_view frames, bool half_close, const Metadata& metadata);
  void send(std::string_view message);
  void half_close();
  // Waits for the next message. Error: how the stream ended (`ok` for a regular end), or deadline_exceeded
  // with the stream still open.
  std::expected<std::string, Status> read(Time deadline = Time::max());
  // For callers that run the loop themselves.
  [[nodiscard]] std::optional<std::string> poll();
  [[nodiscard]] const std::optional<Status>& ended() const { return end_; }
  [[nodiscard]] bool ready() const { return !inbox_.empty() || end_.has_value(); }

 private:
  void on_message(std::string_view message) override { inbox_.emplace_back(message); }
  void on_end(const Status& status) override { end_ = status; }

  Loop& loop_;
  std::shared_ptr<Connection> connection_;
  CallId call_ = CallId::none;
  std::deque<std::string> inbox_;
  std::optional<Status> end_;
};

template <class Request, class Response>
class Stream {
 public:
  explicit Stream(std::unique_ptr<RawStream> raw) : raw_(std::move(raw)) {}
  void send(const Request& request) { raw_->send(request.SerializeAsString()); }
  void half_close() { raw_->half_close(); }
  std::expected<Response, Status> read(Time deadline = Time::max()) {
    auto bytes = raw_->read(deadline);
    if (!bytes) return std::unexpected(std::move(bytes.error()));
    Response response;
    if (!response.ParseFromString(*bytes))
      return std::unexpected(Status{Code::internal, "the answer does not parse"});
    return response;
  }
  [[nodiscard]] bool ready() const { return raw_->ready(); }

 private:
  std::unique_ptr<RawStream> raw_;
};

class Client {
 public:
  explicit Client(Options options);

  [[nodiscard]] Loop& loop() { return loop_; }
  [[nodiscard]] const Options& options() const { return options_; }
  // The endpoint in use, or to be tried next.
  [[nodiscard]] const Endpoint& endpoint() const { return options_.endpoints[current_]; }

  template <class Request, class Response>
  std::expected<Response, Status> call(const Rpc<Request, Response>& rpc, const Request& request) {
    auto bytes = call_bytes(rpc.path, request.SerializeAsString(), rpc.repeatable);
    if (!bytes) return std::unexpected(std::move(bytes.error()));
    Response response;
    if (!response.ParseFromString(*bytes))
      return std::unexpected(Status{Code::internal, "the answer does not parse"});
    return response;
  }

  // Opens a stream at the first endpoint that can be reached. With `request`: sent, and our side closed
  // (server streaming).
  template <class Request, class Response>
  std::expected<Stream<Request, Response>, Status> open(const Rpc<Request, Response>& rpc,
                                                        const Request* request = nullptr) {
    std::optional<std::string> bytes;
    if (request) bytes = request->SerializeAsString();
    auto raw = open_bytes(rpc.path, std::move(bytes));
    if (!raw) return std::unexpected(std::move(raw.error()));
    return Stream<Request, Response>(std::move(*raw));
  }

  // After a stream broke: the next one is opened at the next endpoint.
  void next_endpoint();

  std::expected<std::string, Status> call_bytes(std::string_view path, const std::string& request,
                                                bool repeatable);
  std::expected<std::unique_ptr<RawStream>, Status> open_bytes(std::string_view path,
                                                               std::optional<std::string> request);

 private:
  Status connect(Time deadline);
  std::expected<std::string, Status> attempt(std::string_view path, const std::string& request,
                                             Time deadline);

  Options options_;
  Loop loop_;
  std::size_t current_ = 0;
  std::shared_ptr<Connection> connection_;
};

}  // namespace quorate::client
