#include "api/etcd/gateway.h"

#include "api/etcd/testing/api_server.h"

namespace quorate::api::etcd::testing {
namespace {

using ::testing::HasSubstr;

class Json : public ApiTest {
 protected:
  // One HTTP/1.1 exchange; what came back, head and body.
  std::string http(const std::string& method, const std::string& path, const std::string& body = "") {
    RawClient raw(server.io, server.listener.port());
    raw.write(method + " " + path + " HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_TRUE(raw.until_closed());
    return raw.received();
  }
};

TEST(Objects, FollowNestingAndStrings) {
  Objects objects;
  objects.append(R"( {"a":{"b":"}\"{"}} , {"c":1} x)");
  EXPECT_EQ(objects.next(), R"({"a":{"b":"}\"{"}})");
  EXPECT_EQ(objects.next(), R"({"c":1})");
  EXPECT_EQ(objects.next(), std::nullopt);
  EXPECT_TRUE(objects.nonsense());
}

TEST(Objects, ComeInPieces) {
  const std::string text = R"({"a":"\\\"{"} {} {"open":)";
  Objects objects;
  std::vector<std::string> found;
  for (const char c : text) {
    objects.append({&c, 1});
    if (const auto object = objects.next()) found.emplace_back(*object);
  }
  EXPECT_THAT(found, ::testing::ElementsAre(R"({"a":"\\\"{"})", "{}"));
  EXPECT_FALSE(objects.nonsense());
  EXPECT_EQ(objects.rest(), R"({"open":)");
  EXPECT_EQ(objects.size(), 0U);
}

TEST_F(Json, PutAndRange) {
  const auto put = http("POST", "/v3/kv/put", R"({"key":"Zm9v","value":"YmFy","unknown":1})");
  EXPECT_THAT(put, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(put,
              HasSubstr(R"({"header":{"cluster_id":"81","member_id":"1","revision":"2","raft_term":"2"}})"));
  const auto range = http("POST", "/v3/kv/range", R"({"key":"Zm9v"})");
  EXPECT_THAT(range, HasSubstr("content-type: application/json"));
  EXPECT_THAT(
      range,
      HasSubstr(
          R"("kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"count":"1")"));
}

TEST_F(Json, ErrorsCarryTheCodeTwice) {
  const auto empty = http("POST", "/v3/kv/put");
  EXPECT_THAT(empty, HasSubstr("HTTP/1.1 400 "));
  EXPECT_THAT(
      empty,
      HasSubstr(
          R"({"error":"etcdserver: key is not provided","code":3,"message":"etcdserver: key is not provided"})"));
  EXPECT_THAT(http("POST", "/v3/kv/put", "{nonsense"), HasSubstr("HTTP/1.1 400 "));
  EXPECT_THAT(http("POST", "/v3/kv/put", R"({"key":7})"), HasSubstr("HTTP/1.1 400 "));
  EXPECT_THAT(http("GET", "/v3/kv/put"), HasSubstr("HTTP/1.1 405 "));
  EXPECT_THAT(http("POST", "/v3/nothing"), HasSubstr("HTTP/1.1 404 "));
  server.node.failure = replica::Failure::no_leader;
  EXPECT_THAT(http("POST", "/v3/kv/range", R"({"key":"Zm9v"})"), HasSubstr("HTTP/1.1 503 "));
}

TEST_F(Json, EveryServiceIsThere) {
  for (const char* path :
       {"/v3/kv/txn", "/v3/lease/grant", "/v3/lease/leases", "/v3/kv/lease/leases", "/v3/cluster/member/list",
        "/v3/maintenance/status", "/v3/maintenance/alarm", "/v3/maintenance/hashkv", "/v3/auth/status"}) {
    EXPECT_THAT(http("POST", path, "{}"), HasSubstr("HTTP/1.1 200 OK")) << path;
  }
}

TEST_F(Json, WhatIsNotImplementedSaysSo) {
  for (const char* path :
       {"/v3/auth/enable", "/v3/auth/user/add", "/v3/auth/user/changepw", "/v3/auth/role/grant"}) {
    EXPECT_THAT(http("POST", path, "{}"), HasSubstr("HTTP/1.1 501 ")) << path;
  }
  EXPECT_EQ(failure("etcdserverpb.Auth/RoleList", pb::AuthRoleListRequest()),
            "12: quorate: users, roles and authentication are not implemented");
}

// A browser's way of watching (RFC 6455). The client's frames are masked, here with zeros.
class WebSocket : public Json {
 protected:
  WebSocket() : socket(server.io, server.listener.port()) {}

  void open(const std::string& path, const std::string& more = "") {
    socket.write("GET " + path +
                 " HTTP/1.1\r\nhost: t\r\nupgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n"
                 "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                 more + "\r\n");
  }
  static std::string frame(unsigned char first, const std::string& payload) {
    EXPECT_LT(payload.size(), 126U);
    return std::string{static_cast<char>(first), static_cast<char>(0x80U | payload.size()), 0, 0, 0, 0} +
           payload;
  }
  RawClient socket;
};

TEST_F(WebSocket, WatchTakesRequestsWhileItAnswers) {
  open("/v3/watch");
  EXPECT_TRUE(socket.until_received("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
  EXPECT_THAT(socket.received(), HasSubstr("HTTP/1.1 101 "));
  socket.write(frame(0x81, R"({"create_request":{"key":"Zm9v"}})"));
  EXPECT_TRUE(socket.until_received(R"("created":true}})"));
  put("foo", "bar");
  EXPECT_TRUE(socket.until_received(R"("value":"YmFy")"));
  socket.write(frame(0x01, R"({"create_request":)") + frame(0x80, R"({"key":"YmFy"}})"));  // in two frames
  EXPECT_TRUE(socket.until_received(R"("watch_id":"1","created":true)"));
  socket.write(frame(0x89, "ping"));
  EXPECT_TRUE(socket.until_received("\x8A\x04ping"));
  socket.write(frame(0x81, R"({"cancel_request":{"watch_id":"1"}})"));
  EXPECT_TRUE(socket.until_received(R"("canceled":true)"));
  EXPECT_FALSE(socket.closed());
  socket.write(frame(0x88, "\x03\xe8"));
  EXPECT_TRUE(socket.until_closed());
  EXPECT_TRUE(socket.received().ends_with("\x88\x02\x03\xe8"));
  EXPECT_TRUE(client.until([&] { return server.node.model().watches().size() == 0; }));
}

TEST_F(WebSocket, UnaryCallsAnswerOnceAndEnd) {
  open("/v3/kv/put");
  EXPECT_TRUE(socket.until_received("\r\n\r\n"));
  socket.write(frame(0x81, R"({"key":"Zm9v","value":"YmFy"})"));
  EXPECT_TRUE(socket.until_received(R"("revision":"2")"));
  EXPECT_TRUE(socket.until_received("\x88\x02\x03\xe8"));
  socket.write(frame(0x88, "\x03\xe8"));
  EXPECT_TRUE(socket.until_closed());
  EXPECT_EQ(get("foo").kvs(0).value(), "bar");
}

TEST_F(WebSocket, UnaryCallsTakeOneRequest) {
  open("/v3/kv/put");
  EXPECT_TRUE(socket.until_received("\r\n\r\n"));
  const auto request = [](const char* key) { return R"({"key":")" + std::string(key) + R"("})"; };
  socket.write(frame(0x81, request("b25l") + request("dHdv")) + frame(0x81, request("dGhyZWU=")));
  EXPECT_TRUE(socket.until_received("\x88\x02\x03\xe8"));
  settle();
  EXPECT_EQ(get("one").count(), 1);
  EXPECT_EQ(get("two").count(), 0);
  EXPECT_EQ(get("three").count(), 0);
}

TEST_F(WebSocket, ErrorsAreMessages) {
  open("/v3/watch");
  EXPECT_TRUE(socket.until_received("\r\n\r\n"));
  socket.write(frame(0x81, "nonsense"));
  EXPECT_TRUE(socket.until_received("malformed JSON"));
}

TEST_F(WebSocket, NobodyElseSpeaksIt) {
  open("/v3/nothing");
  EXPECT_TRUE(socket.until_received("HTTP/1.1 404 "));
  socket.received().clear();
  open("/v3/watch", "origin: http://elsewhere\r\n");
  EXPECT_TRUE(socket.until_received("HTTP/1.1 405 "));
  socket.received().clear();
  open("/v3/watch", "origin: http://t\r\n");
  EXPECT_TRUE(socket.until_received("HTTP/1.1 101 "));
}

TEST_F(WebSocket, UnmaskedFramesEndIt) {
  open("/v3/watch");
  EXPECT_TRUE(socket.until_received("\r\n\r\n"));
  socket.write("\x81\x02{}");
  EXPECT_TRUE(socket.until_closed());
  EXPECT_TRUE(socket.received().ends_with("\x88\x02\x03\xea"));
}

TEST_F(WebSocket, EndsWithTheServer) {
  open("/v3/watch");
  socket.write(frame(0x81, R"({"create_request":{"key":"Zm9v"}})"));
  EXPECT_TRUE(socket.until_received("created"));
  server.api.stop();
  EXPECT_TRUE(socket.until_received("etcdserver: server stopped"));
}

TEST_F(Json, WatchIsAStreamOfLines) {
  RawClient raw(server.io, server.listener.port());
  const std::string body = R"({"create_request":{"key":"Zm9v"}})";
  raw.write("POST /v3/watch HTTP/1.1\r\nhost: t\r\ncontent-length: " + std::to_string(body.size()) +
            "\r\n\r\n" + body);
  EXPECT_TRUE(raw.until_received(R"("created":true}})"));
  EXPECT_THAT(raw.received(), HasSubstr("transfer-encoding: chunked"));
  put("foo", "bar");
  EXPECT_TRUE(raw.until_received(
      R"({"result":{"header":{"cluster_id":"81","member_id":"1","revision":"2","raft_term":"2"},"events":[{"kv":{"key":"Zm9v")"));
  EXPECT_FALSE(raw.closed());
}

TEST_F(Json, WatchEndsWithItsClient) {
  {
    RawClient raw(server.io, server.listener.port());
    const std::string body = R"({"create_request":{"key":"Zm9v"}})";
    raw.write("POST /v3/watch HTTP/1.1\r\nhost: t\r\ncontent-length: " + std::to_string(body.size()) +
              "\r\n\r\n" + body);
    EXPECT_TRUE(raw.until_received("created"));
    EXPECT_EQ(server.node.model().watches().size(), 1U);
  }
  EXPECT_TRUE(client.until([&] { return server.node.model().watches().size() == 0; }));
}

TEST_F(Json, KeepAliveEndsWithItsRequests) {
  const auto text = http("POST", "/v3/lease/keepalive", R"({"ID":"5"}{"ID":6})");
  EXPECT_THAT(text, HasSubstr(R"("ID":"5"}})"));
  EXPECT_THAT(text, HasSubstr(R"("ID":"6"}})"));
}

TEST_F(Json, OverHttp2Too) {
  const auto id = client.open("POST", "/v3/kv/range", {{"content-type", "application/json"}});
  client.send(id, R"({"key":"Zm9v"})");
  client.half_close(id);
  EXPECT_EQ(client.finished(id).status, "200");
  EXPECT_THAT(client.response(id).body, HasSubstr("header"));
}

class Page : public Json {};

TEST_F(Page, Health) {
  EXPECT_THAT(http("GET", "/health"), HasSubstr(R"({"health":"true","reason":""})"));
  server.node.failure = replica::Failure::timed_out;
  EXPECT_THAT(http("GET", "/health"), HasSubstr("HTTP/1.1 503 "));
  EXPECT_THAT(http("GET", "/health?serializable=true"), HasSubstr("HTTP/1.1 200 OK"));
  server.node.set_leader(NodeId());
  EXPECT_THAT(http("GET", "/health"), HasSubstr(R"({"health":"false","reason":"RAFT NO LEADER"})"));
  EXPECT_THAT(http("POST", "/health"), HasSubstr("HTTP/1.1 405 "));
}

TEST_F(Page, Probes) {
  EXPECT_THAT(http("GET", "/livez"), HasSubstr("\r\n\r\nok\n"));
  EXPECT_THAT(http("GET", "/readyz?verbose"), HasSubstr("[+]linearizable_read ok\n"));
  EXPECT_THAT(http("GET", "/readyz/serializable_read"), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(http("GET", "/readyz/nonsense"), HasSubstr("HTTP/1.1 404 "));
  EXPECT_THAT(http("GET", "/readyzz"), HasSubstr("HTTP/1.1 404 "));
  server.node.failure = replica::Failure::timed_out;
  const auto failed = http("GET", "/readyz");
  EXPECT_THAT(failed, HasSubstr("HTTP/1.1 503 "));
  EXPECT_THAT(failed, HasSubstr("[-]linearizable_read failed: etcdserver: request timed out\n"));
  EXPECT_THAT(http("GET", "/readyz?exclude=linearizable_read"), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(http("GET", "/livez"), HasSubstr("HTTP/1.1 200 OK"));
  server.node.learner = true;
  EXPECT_THAT(http("GET", "/readyz/non_learner"), HasSubstr("HTTP/1.1 503 "));
}

TEST_F(Page, VersionVariablesAndNothing) {
  EXPECT_THAT(http("GET", "/version"), HasSubstr(R"({"etcdserver":"3.5.17","etcdcluster":"3.5.0")"));
  EXPECT_THAT(http("GET", "/debug/vars"), HasSubstr(R"("raft.status":{"id":1)"));
  EXPECT_THAT(http("GET", "/nothing"), HasSubstr("HTTP/1.1 404 "));
}

TEST_F(Page, MetricsHaveTheNamesOfDashboards) {
  put("a", "1");
  const auto text = http("GET", "/metrics");
  for (
      const char* name :
      {"etcd_server_has_leader 1\n", "etcd_server_leader_changes_seen_total 0\n",
       "etcd_server_proposals_committed_total ", "etcd_server_proposals_applied_total ",
       "etcd_server_proposals_pending ", "etcd_server_proposals_failed_total ",
       "etcd_mvcc_db_total_size_in_bytes ", "etcd_mvcc_db_total_size_in_use_in_bytes ",
       "etcd_network_client_grpc_received_bytes_total ", "process_resident_memory_bytes ",
       R"(grpc_server_started_total{grpc_service="etcdserverpb.KV",grpc_method="Put",grpc_type="unary"} 1)",
       R"(grpc_server_handled_total{grpc_service="etcdserverpb.KV",grpc_method="Put",grpc_type="unary",grpc_code="OK"} 1)",
       R"(grpc_server_handling_seconds_count{grpc_service="etcdserverpb.KV",grpc_method="Put",grpc_type="unary"} 1)"}) {
    EXPECT_THAT(text, HasSubstr(name));
  }
  failure("etcdserverpb.KV/Put", pb::PutRequest());
  EXPECT_THAT(http("GET", "/metrics"),
              HasSubstr(R"(grpc_method="Put",grpc_type="unary",grpc_code="InvalidArgument"} 1)"));
}

// JSON of more than a few kilobytes is read and written elsewhere.
class LargeJson : private Elsewhere, public ApiTest {
 protected:
  LargeJson() : ApiTest(settings()) {}
  using Elsewhere::waiting;
  using Elsewhere::work;

  static std::string post(const std::string& path, const std::string& body) {
    return "POST " + path + " HTTP/1.1\r\nhost: t\r\ncontent-length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }
};

TEST_F(LargeJson, KeepsNobodyWaiting) {
  const std::string value = std::string(60'000, 'v');
  put("foo", value);
  RawClient raw(server.io, server.listener.port());
  raw.write(post("/v3/kv/range", R"({"key":"Zm9v"})"));
  EXPECT_TRUE(raw.until([&] { return !waiting.empty(); }));
  EXPECT_EQ(get("foo").kvs(0).value(), value);  // answered before
  EXPECT_EQ(raw.received(), "");
  work();
  EXPECT_TRUE(raw.until_received(R"("count":"1"})"));
  EXPECT_THAT(raw.received(), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(raw.received(), HasSubstr("dnZ2dnZ2"));

  raw.received().clear();
  raw.write(post("/v3/kv/put", R"({"key":"YmFy","value":")" + std::string(80'000, 'A') + "\"}"));
  EXPECT_TRUE(raw.until([&] { return !waiting.empty(); }));
  EXPECT_EQ(get("bar").count(), 0);
  work();
  EXPECT_TRUE(raw.until_received(R"("revision":"3")"));
  EXPECT_EQ(get("bar").kvs(0).value(), std::string(60'000, '\0'));

  raw.received().clear();
  raw.write(post("/v3/kv/put", R"({"key":"YmFy","value":")" + std::string(80'000, 'A')));  // not closed
  EXPECT_TRUE(raw.until([&] { return !waiting.empty(); }));
  work();
  EXPECT_TRUE(raw.until_received("malformed JSON"));
}

TEST_F(LargeJson, OfAClientThatHasGoneIsDropped) {
  put("foo", std::string(60'000, 'v'));
  for (const auto& request :
       {post("/v3/kv/range", R"({"key":"Zm9v"})"),
        post("/v3/kv/put", R"({"key":"YmFy","value":")" + std::string(80'000, 'A') + "\"}")}) {
    {
      RawClient raw(server.io, server.listener.port());
      raw.write(request);
      EXPECT_TRUE(raw.until([&] { return !waiting.empty(); }));
    }
    settle();
    work();
    settle();
  }
  EXPECT_EQ(get("bar").count(), 0);
}

TEST_F(LargeJson, OfAStreamsRequestsIsRefused) {
  RawClient raw(server.io, server.listener.port());
  std::string many;
  while (many.size() < 70'000) many += R"({"create_request":{"key":"Zm9v"}})";
  raw.write(post("/v3/watch", many));
  EXPECT_TRUE(raw.until_received("larger than 65536 bytes"));
  EXPECT_THAT(raw.received(), HasSubstr("HTTP/1.1 429 "));
}

}  // namespace
}  // namespace quorate::api::etcd::testing
