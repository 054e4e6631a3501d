// A channel against a server that lives in memory too: bytes are carried over by hand.
#include "tls/channel.h"

#include <array>

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include "tls/testing/authority.h"

namespace quorate::tls {
namespace {

using testing::Authority;
using ::testing::HasSubstr;

class Server {
 public:
  explicit Server(std::shared_ptr<Context> context)
      : context_(std::move(context)),
        connection_(SSL_new(context_->current().native_handle())),
        in_(BIO_new(BIO_s_mem())),
        out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(connection_, in_, out_);
    SSL_set_accept_state(connection_);
  }
  ~Server() { SSL_free(connection_); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void receive(const std::string& cipher) {
    BIO_write(in_, cipher.data(), static_cast<int>(cipher.size()));
    std::array<char, 4096> piece;
    int got = 0;
    while ((got = SSL_read(connection_, piece.data(), piece.size())) > 0) {
      heard.append(piece.data(), static_cast<std::size_t>(got));
    }
  }
  void say(const std::string& plain) { SSL_write(connection_, plain.data(), static_cast<int>(plain.size())); }
  std::string output() {
    char* bytes = nullptr;
    const auto size = BIO_get_mem_data(out_, &bytes);
    std::string all(bytes, static_cast<std::size_t>(size));
    BIO_reset(out_);
    return all;
  }

  std::string heard;

 private:
  std::shared_ptr<Context> context_;
  SSL* connection_;
  BIO* in_;
  BIO* out_;
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
      client.take_output(from_client);
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
  Channel client(context(Side::client, "client", authority.ca()), "127.0.0.1");
  client.send("said before the handshake, ");  // and waiting for it
  std::string heard;
  EXPECT_EQ(talk(client, server, heard), "");
  client.send("and after it");
  server.say(std::string(100'000, 'x'));
  EXPECT_EQ(talk(client, server, heard), "");
  EXPECT_EQ(server.heard, "said before the handshake, and after it");
  EXPECT_EQ(heard, std::string(100'000, 'x'));
}

TEST_F(TlsChannel, AServerOfAnotherAuthorityIsRefused) {
  const Authority other("other");
  Server server(context(Side::server, "server", authority.ca()));
  Channel client(context(Side::client, "client", other.ca()), "127.0.0.1");
  client.send("secret");
  std::string heard;
  EXPECT_THAT(talk(client, server, heard), HasSubstr("not signed by the trusted CA"));
  EXPECT_EQ(server.heard, "");
}

TEST_F(TlsChannel, AServerThatIsNotTheOneDialledIsRefused) {
  Server server(context(Side::server, "server", authority.ca()));
  Channel client(context(Side::client, "client", authority.ca()), "db.example");
  std::string heard;
  EXPECT_THAT(talk(client, server, heard), HasSubstr("not valid for the address"));
}

TEST_F(TlsChannel, AServerThatWantsACertificateSaysSo) {
  Server server(context(Side::server, "server", authority.ca()));
  auto anonymous = settings({}, authority.ca());
  anonymous.names.certificate = "--cert";
  Channel client(Context::open(Side::client, anonymous).value(), "127.0.0.1");
  std::string heard;
  EXPECT_THAT(talk(client, server, heard), HasSubstr("set --cert"));
}

TEST_F(TlsChannel, PlainTextIsNamed) {
  Channel client(context(Side::client, "client", authority.ca()), "127.0.0.1");
  std::string heard;
  ASSERT_TRUE(client.receive("", heard));
  EXPECT_THAT(client.receive("HTTP/1.1 400 Bad Request\r\n\r\n", heard).error(),
              HasSubstr("speaks plain text where TLS is expected"));
  EXPECT_THAT(client.hang_up(), HasSubstr("does it speak TLS?"));
}

}  // namespace
}  // namespace quorate::tls
