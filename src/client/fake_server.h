// A gRPC server for tests: answers by script, on a thread of its own, on a free port of 127.0.0.1.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/endpoint.h"

namespace quorate::client {

struct FakeAnswer {
  std::vector<std::string> messages{};
  std::string grpc_status = "0";  // empty: no trailers, the stream just ends
  std::string grpc_message{};
  int http_status = 200;
  bool refuse = false;  // RST_STREAM(REFUSED_STREAM)
  bool drop_connection = false;
  bool hang = false;  // headers and messages, and then nothing
};

class FakeServer {
 public:
  // `answer` is called on the server's thread with the path and the messages received so far: of unary calls
  // once, when the client has closed its side; of others (path ends in "Stream") after every message.
  using Handler =
      std::function<FakeAnswer(const std::string& path, const std::vector<std::string>& messages)>;
  explicit FakeServer(Handler handler);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  [[nodiscard]] Endpoint endpoint() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quorate::client
