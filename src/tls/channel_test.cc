// A channel against a server that lives in memory too: bytes are carried over by hand.
#include "tls/channel.h"

#include <gmock/gmock.h>

#include "tls/testing/authority.h"

namespace quorate::tls {
namespace {

using testing::Authority;
using ::testing::HasSubstr;

// The accepting end.
struct Server {
  explicit Server(std::shared_ptr<Context> accepting) : context(std::move(accepting)), channel(*context) {}
  void receive(const std::string& cipher) { failed = failed || !channel.receive(cipher, heard); }
  std::string output() {
    std::string all(channel.output());
    channel.output_taken();
    return all;
  }

  std::shared_ptr<Context> context;
  Channel channel;
  std::string heard;
  bool failed = false;
};

class TlsChannel : public ::testing::Test {
 protected:
  static Settings settings(const Authority::Files& files, const std::string& ca) {
    Settings out;
    out.certificate = files.certificate;
    out.key = files.key;
    out.ca = ca;
    return out;
  }
  std::shared_ptr<Context> context(Side side, const char* name, const std::string& ca) {
    return Context::open(side, settings(authority.issue(name), ca)).value();
  }
  // Until nobody has anything to say; what went wrong at the client, if anything did.
  static std::string talk(Channel& client, Server& server, std::string& heard) {
    std::string from_server;
    for (int turn = 0; turn < 10; ++turn) {
      if (auto taken = client.receive(from_server, heard); !taken) return taken.error();
      std::string from_client;
      from_client = client.output();
      client.output_taken();
      if (from_client.empty() && from_server.empty() && turn > 0) break;
      server.receive(from_client);
      from_server = server.output();
    }
    return "";
  }

  Authority authority{"test authority"};
};

TEST_F(TlsChannel, CarriesBothDirections) {
  Server server(context(Side::server, "server", authority.ca()));
  const auto dialling = context(Side::client, "client", authority.ca());
  Channel client(*dialling, "127.0.0.1");
  client.send("said before the handshake, ");  // and waiting for it
  std::string heard;
  EXPECT_EQ(talk(client, server, heard), "");
  client.send("and after it");
  server.channel.send(std::string(100'000, 'x'));
  EXPECT_EQ(talk(client, server, heard), "");
  EXPECT_EQ(server.heard, "said before the handshake, and after it");
  EXPECT_EQ(heard, std::string(100'000, 'x'));
}

TEST_F(TlsChannel, AServerOfAnotherAuthorityIsRefused) {
  const Authority other("other");
  Server server(context(Side::server, "server", authority.ca()));
  const auto dialling = context(Side::client, "client", other.ca());
  Channel client(*dialling, "127.0.0.1");
  client.send("secret");
  std::string heard;
  EXPECT_THAT(talk(client, server, heard), HasSubstr("not signed by the trusted CA"));
  EXPECT_EQ(server.heard, "");
}

TEST_F(TlsChannel, AServerThatIsNotTheOneDialledIsRefused) {
  Server server(context(Side::server, "server", authority.ca()));
  const auto dialling = context(Side::client, "client", authority.ca());
  Channel client(*dialling, "db.example");
  std::string heard;
  EXPECT_THAT(talk(client, server, heard), HasSubstr("not valid for the address"));
}

TEST_F(TlsChannel, AServerThatWantsACertificateSaysSo) {
  Server server(context(Side::server, "server", authority.ca()));
  auto anonymous = settings({}, authority.ca());
  anonymous.names.certificate = "--cert";
  const auto dialling = Context::open(Side::client, anonymous).value();
  Channel client(*dialling, "127.0.0.1");
  std::string heard;
  EXPECT_THAT(talk(client, server, heard), HasSubstr("set --cert"));
}

TEST_F(TlsChannel, PlainTextIsNamed) {
  const auto dialling = context(Side::client, "client", authority.ca());
  Channel client(*dialling, "127.0.0.1");
  std::string heard;
  ASSERT_TRUE(client.receive("", heard));
  EXPECT_THAT(client.receive("HTTP/1.1 400 Bad Request\r\n\r\n", heard).error(),
              HasSubstr("speaks plain text where TLS is expected"));
  EXPECT_THAT(client.hang_up(), HasSubstr("does it speak TLS?"));
}

}  // namespace
}  // namespace quorate::tls
