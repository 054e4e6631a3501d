// Clients for tests, in the thread of the server: they turn the server's io_context while they wait.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <nghttp2/nghttp2.h>

namespace quorate::http::testing {

// A socket and raw bytes.
class RawClient {
 public:
  RawClient(boost::asio::io_context& io, std::uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void write(std::string_view bytes);
  std::size_t read();  // what is there now, into received(); turns the server once
  // Until `met`, the connection ends, or a minute passes. True if met.
  bool until(const std::function<bool()>& met);
  bool until_received(std::string_view text) {
    return until([&] { return received_.find(text) != std::string::npos; });
  }
  bool until_closed() {
    until([] { return false; });
    return closed_;
  }
  [[nodiscard]] std::string& received() { return received_; }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  boost::asio::io_context& io_;
  int socket_ = -1;
  std::string received_;
  bool closed_ = false;
};

struct Response {
  std::string status;
  std::map<std::string, std::string> headers;
  std::map<std::string, std::string> trailers;
  std::string body;
  bool closed = false;
  std::uint32_t error = 0;

  [[nodiscard]] std::string grpc_status() const {
    const auto& from = trailers.contains("grpc-status") ? trailers : headers;
    const auto at = from.find("grpc-status");
    return at == from.end() ? "" : at->second;
  }
  [[nodiscard]] std::string grpc_message() const {
    const auto& from = trailers.contains("grpc-message") ? trailers : headers;
    const auto at = from.find("grpc-message");
    return at == from.end() ? "" : at->second;
  }
  // The messages that have arrived whole.
  [[nodiscard]] std::vector<std::string> messages() const;
};

class Http2Client {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  Http2Client(boost::asio::io_context& io, std::uint16_t port, std::uint32_t window = 1U << 20U);
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  std::int32_t open(const std::string& method, const std::string& path, const Headers& headers,
                    bool end = false);
  void send(std::int32_t stream, std::string_view data);
  void half_close(std::int32_t stream);
  void reset(std::int32_t stream);

  // gRPC.
  std::int32_t call(const std::string& path, std::string_view message, Headers headers = {});
  std::int32_t open_call(const std::string& path, Headers headers = {});
  void send_message(std::int32_t stream, std::string_view message) { send(stream, frame(message)); }
  Response& finished(std::int32_t stream);  // waits for its end
  Response unary(const std::string& path, std::string_view message, const Headers& headers = {}) {
    return finished(call(path, message, headers));
  }
  static std::string frame(std::string_view message);

  Response& response(std::int32_t stream) { return responses_[stream]; }
  bool until(const std::function<bool()>& met);
  bool until_messages(std::int32_t stream, std::size_t n) {
    return until([&] { return response(stream).messages().size() >= n; });
  }
  void stop_reading() { reading_ = false; }
  void resume_reading() { reading_ = true; }
  [[nodiscard]] bool closed() { return raw_.closed(); }
  [[nodiscard]] int goaways() const { return goaways_; }
  [[nodiscard]] const std::string& parting() const { return parting_; }  // what the last GOAWAY said
  [[nodiscard]] int pings() const { return pings_; }                     // that came
  void ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

 private:
  struct Body {
    std::string data;
    bool end = false;
    bool deferred = false;
  };
  void turn();

  RawClient raw_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Response> responses_;
  std::map<std::int32_t, Body> bodies_;
  int goaways_ = 0;
  int pings_ = 0;
  std::string parting_;
  bool reading_ = true;
};

}  // namespace quorate::http::testing
