// The API over a fake node on a real port, and a client of it.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <google/protobuf/message_lite.h>

#include "api/etcd/etcd_api.h"
#include "api/etcd/testing/fake_node.h"
#include "api/http/listener.h"
#include "api/http/testing/client.h"
#include "api/proto/rpc.pb.h"

namespace quorate::api::etcd::testing {

namespace pb = etcdserverpb;
using http::testing::Http2Client;
using http::testing::RawClient;

struct ApiServer {
  explicit ApiServer(Settings settings = {}, http::Limits limits = {})
      : node(io), api(io, node, settings), listener(io, api.handler(), limits) {
    if (!listener.listen("127.0.0.1", 0)) throw std::runtime_error("listen");
  }
  // Completions first, then the API they lead to.
  ~ApiServer() {
    listener.close();
    io.restart();
    io.poll();
  }
  boost::asio::io_context io{1};
  FakeNode node;
  EtcdApi api;
  http::Listener listener;
};

// Long work waits here until the test says so.
struct Elsewhere {
  Settings settings() {
    Settings with;
    with.elsewhere = [this](Aside::Piece piece) { waiting.push_back(std::move(piece)); };
    return with;
  }
  void work() {
    for (auto& piece : std::exchange(waiting, {})) piece();
  }
  std::vector<Aside::Piece> waiting;
};

class ApiTest : public ::testing::Test {
 protected:
  explicit ApiTest(Settings settings = {}) : server(settings), client(server.io, server.listener.port()) {}

  template <class Response>
  Response call(const std::string& path, const google::protobuf::MessageLite& request,
                const Http2Client::Headers& headers = {}) {
    answer = client.unary("/" + path, request.SerializeAsString(), headers);
    EXPECT_EQ(answer.grpc_status(), "0") << path << ": " << answer.grpc_message();
    Response response;
    const auto messages = answer.messages();
    EXPECT_EQ(messages.size(), 1U);
    EXPECT_TRUE(!messages.empty() && response.ParseFromString(messages[0]));
    return response;
  }
  // "code: text" of a call that fails.
  std::string failure(const std::string& path, const google::protobuf::MessageLite& request,
                      const Http2Client::Headers& headers = {}) {
    answer = client.unary("/" + path, request.SerializeAsString(), headers);
    return answer.grpc_status() + ": " + answer.grpc_message();
  }
  pb::PutResponse put(const std::string& key, const std::string& value, std::int64_t lease = 0) {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lease(lease);
    return call<pb::PutResponse>("etcdserverpb.KV/Put", request);
  }
  pb::RangeResponse get(const std::string& key, const std::string& end = "") {
    pb::RangeRequest request;
    request.set_key(key);
    request.set_range_end(end);
    return call<pb::RangeResponse>("etcdserverpb.KV/Range", request);
  }
  pb::DeleteRangeResponse del(const std::string& key) {
    pb::DeleteRangeRequest request;
    request.set_key(key);
    return call<pb::DeleteRangeResponse>("etcdserverpb.KV/DeleteRange", request);
  }
  // The n messages of a stream that have come by the time there are n.
  template <class Response>
  std::vector<Response> stream(std::int32_t id, std::size_t n) {
    EXPECT_TRUE(client.until_messages(id, n))
        << "of " << n << " there are " << client.response(id).messages().size();
    std::vector<Response> out;
    for (const auto& message : client.response(id).messages())
      EXPECT_TRUE(out.emplace_back().ParseFromString(message));
    out.resize(std::min(out.size(), n));
    return out;
  }
  // A few round trips: whatever was on its way has come.
  void settle() {
    for (int i = 0; i < 3; ++i) get("settle");
  }

  ApiServer server;
  Http2Client client;
  http::testing::Response answer;  // of the last call
};

}  // namespace quorate::api::etcd::testing
