#include "api/etcd/access.h"

#include "api/etcd/testing/api_server.h"

namespace quorate::api::etcd::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string http(ApiServer& server, const std::string& method, const std::string& path,
                 const std::string& fields) {
  RawClient raw(server.io, server.listener.port());
  raw.write(method + " " + path + " HTTP/1.1\r\nconnection: close\r\n" + fields + "\r\n");
  EXPECT_TRUE(raw.until_closed());
  return raw.received();
}

TEST(Access, NamesOfTheServer) {
  ApiServer server({.hosts = {"db.example", "::1"}});
  const auto asked_as = [&](const std::string& host) {
    return http(server, "GET", "/version", "host: " + host + "\r\n");
  };
  EXPECT_THAT(asked_as("db.example"), HasSubstr(" 200 "));
  EXPECT_THAT(asked_as("db.example:2379"), HasSubstr(" 200 "));
  EXPECT_THAT(asked_as("[::1]:2379"), HasSubstr(" 200 "));
  EXPECT_THAT(asked_as("evil.example"), HasSubstr(" 421 "));
  EXPECT_THAT(asked_as(""), HasSubstr(" 421 "));
  EXPECT_THAT(asked_as("["), HasSubstr(" 421 "));
  Http2Client client(server.io, server.listener.port());  // whose :authority is "test"
  EXPECT_EQ(client.finished(client.open("GET", "/version", {}, true)).status, "421");
  EXPECT_EQ(client.unary("/grpc.health.v1.Health/Check", "").grpc_status(), "0") << "gRPC is no browser's";
}

TEST(Access, AnyNameByDefault) {
  ApiServer server;
  EXPECT_THAT(http(server, "GET", "/version", "host: anything\r\n"), HasSubstr(" 200 "));
}

TEST(Access, OriginsAreAllowedByName) {
  ApiServer server({.origins = {"https://a.example", "https://b.example"}});
  const auto allowed = http(server, "GET", "/version", "host: t\r\norigin: https://b.example\r\n");
  EXPECT_THAT(allowed, HasSubstr("access-control-allow-origin: https://b.example\r\n"));
  EXPECT_THAT(allowed, HasSubstr("vary: origin\r\n"));
  const auto other = http(server, "GET", "/version", "host: t\r\norigin: https://c.example\r\n");
  EXPECT_THAT(other, HasSubstr(" 200 "));
  EXPECT_THAT(other, Not(HasSubstr("access-control")));
  const auto asking = http(server, "OPTIONS", "/v3/kv/range", "host: t\r\norigin: https://a.example\r\n");
  EXPECT_THAT(asking, HasSubstr(" 200 "));
  EXPECT_THAT(asking, HasSubstr("access-control-allow-methods: POST"));
}

TEST(Access, AnyOriginAndNone) {
  ApiServer any({.origins = {"*"}});
  EXPECT_THAT(http(any, "GET", "/version", "host: t\r\norigin: https://x.example\r\n"),
              HasSubstr("access-control-allow-origin: *\r\n"));
  ApiServer none;
  EXPECT_THAT(http(none, "GET", "/version", "host: t\r\norigin: https://x.example\r\n"),
              Not(HasSubstr("access-control")));
}

TEST(Access, TheGatewayCanBeLeftOut) {
  ApiServer server({.gateway = false});
  EXPECT_THAT(http(server, "POST", "/v3/kv/range", "host: t\r\ncontent-length: 0\r\n"), HasSubstr(" 404 "));
  EXPECT_THAT(http(server, "GET", "/version", "host: t\r\n"), HasSubstr(" 200 "));
}

}  // namespace
}  // namespace quorate::api::etcd::testing
