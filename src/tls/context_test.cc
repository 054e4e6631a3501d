// Handshakes between two contexts over a pair of sockets, and what is said when they fail.
#include "tls/context.h"

#include <filesystem>
#include <fstream>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

#include "tls/testing/authority.h"

namespace quorate::tls {
namespace {

namespace asio = boost::asio;
using Socket = asio::local::stream_protocol::socket;
using boost::system::error_code;
using ::testing::AllOf;
using testing::Authority;
using ::testing::HasSubstr;

struct Outcome {  // what each side says; empty: the handshake succeeded and a byte arrived
  std::string server;
  std::string client;
};

class TlsContext : public ::testing::Test {
 protected:
  static Settings settings(const Authority::Files& files, const std::string& ca) {
    Settings out;
    out.certificate = files.certificate;
    out.key = files.key;
    out.ca = ca;
    return out;
  }
  static std::shared_ptr<Context> open(Side side, const Settings& settings) {
    auto context = Context::open(side, settings);
    EXPECT_TRUE(context.has_value()) << context.error();
    return context.value_or(nullptr);
  }
  static std::string error(Side side, const Settings& settings) {
    auto context = Context::open(side, settings);
    return context ? "no error" : context.error();
  }

  Outcome shake(Context& server, Context& client, const std::string& host = "127.0.0.1") {
    asio::io_context io;
    asio::ssl::stream<Socket> a(io, server.current());
    asio::ssl::stream<Socket> b(io, client.current());
    asio::local::connect_pair(a.next_layer(), b.next_layer());
    client.expect_host(b.native_handle(), host);
    Outcome outcome;
    char read_a = 0;
    char read_b = 0;
    run(a, server, asio::ssl::stream_base::server, read_a, outcome.server);
    run(b, client, asio::ssl::stream_base::client, read_b, outcome.client);
    io.run_for(std::chrono::seconds(10));
    if (b.native_handle() != nullptr) {
      X509* shown = SSL_get1_peer_certificate(b.native_handle());
      if (shown != nullptr) {
        char name[64] = {};
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof name);
        server_cn = name;
        X509_free(shown);
      }
    }
    return outcome;
  }
  // With TLS 1.3 a server may refuse after the client is through: only a byte proves that all is well.
  static void run(asio::ssl::stream<Socket>& stream, Context& context,
                  asio::ssl::stream_base::handshake_type type, char& byte, std::string& said) {
    const auto failed = [&](const error_code& e) {
      said = context.explain(e, stream.native_handle());
      error_code ignored;
      stream.next_layer().close(ignored);
    };
    stream.async_handshake(type, [&, failed](error_code e) {
      if (e) return failed(e);
      asio::async_write(stream, asio::buffer("x", 1), [](error_code, std::size_t) {});
      stream.async_read_some(asio::buffer(&byte, 1), [failed](error_code again, std::size_t) {
        if (again) failed(again);
      });
    });
  }

  Authority authority{"test authority"};
  Authority stranger{"another authority"};
  std::string server_cn;
};

TEST_F(TlsContext, BothShowCertificatesOfOneAuthority) {
  auto server = open(Side::server, settings(authority.issue("server"), authority.ca()));
  auto client = open(Side::client, settings(authority.issue("client"), authority.ca()));
  const auto outcome = shake(*server, *client);
  EXPECT_EQ(outcome.server, "");
  EXPECT_EQ(outcome.client, "");
  EXPECT_EQ(shake(*server, *client, "localhost").client, "");
}

TEST_F(TlsContext, AClientOfAnotherAuthorityIsTurnedAwayAndTold) {
  auto server = open(Side::server, settings(authority.issue("server"), authority.ca()));
  auto client = open(Side::client, settings(stranger.issue("client"), authority.ca()));
  const auto outcome = shake(*server, *client);
  EXPECT_THAT(outcome.server, AllOf(HasSubstr("not signed by the trusted CA"), HasSubstr(authority.ca())));
  EXPECT_THAT(outcome.client,
              AllOf(HasSubstr("does not trust the certificate shown"), HasSubstr("client.pem")));
}

TEST_F(TlsContext, AServerOfAnotherAuthorityIsNotTrusted) {
  auto server = open(Side::server, settings(stranger.issue("server"), authority.ca()));
  auto client = open(Side::client, settings(authority.issue("client"), authority.ca()));
  const auto outcome = shake(*server, *client);
  EXPECT_THAT(outcome.client, HasSubstr("not signed by the trusted CA"));
  EXPECT_THAT(outcome.server, HasSubstr("does not trust the certificate shown"));
}

TEST_F(TlsContext, AClientWithoutACertificateIsTold) {
  auto server = open(Side::server, settings(authority.issue("server"), authority.ca()));
  Settings without;
  without.ca = authority.ca();
  without.names = {.certificate = "--cert", .key = "--key", .ca = "--cacert"};
  auto client = open(Side::client, without);
  const auto outcome = shake(*server, *client);
  EXPECT_THAT(outcome.server, HasSubstr("shows no certificate"));
  EXPECT_THAT(outcome.client, AllOf(HasSubstr("--cert"), HasSubstr("--key")));
}

TEST_F(TlsContext, TheNameDialledMustBeAmongThoseOfTheCertificate) {
  auto server = open(
      Side::server,
      settings(authority.issue("server", {.cn = "x", .names = "DNS:a.example,IP:10.0.0.1"}), authority.ca()));
  auto client = open(Side::client, settings(authority.issue("client"), authority.ca()));
  EXPECT_EQ(shake(*server, *client, "a.example").client, "");
  EXPECT_EQ(shake(*server, *client, "10.0.0.1").client, "");
  EXPECT_THAT(shake(*server, *client, "b.example").client, HasSubstr("but for a.example, 10.0.0.1"));
  EXPECT_THAT(shake(*server, *client, "127.0.0.1").client, HasSubstr("subjectAltName"));
  EXPECT_THAT(shake(*server, *client, "x").client,
              HasSubstr("not valid for the address"));  // a CN is no name
}

TEST_F(TlsContext, ExpiredAndUnfitCertificatesAreNamed) {
  auto client = open(Side::client, settings(authority.issue("client"), authority.ca()));
  auto expired = open(
      Side::server,
      settings(authority.issue("old", {.cn = "old", .valid_from = -90, .valid_until = -30}), authority.ca()));
  EXPECT_THAT(shake(*expired, *client).client, AllOf(HasSubstr("expired"), HasSubstr("renew it there")));
  auto unfit = open(Side::server,
                    settings(authority.issue("unfit", {.cn = "u", .usage = "clientAuth"}), authority.ca()));
  EXPECT_THAT(shake(*unfit, *client).client, HasSubstr("extendedKeyUsage"));
}

TEST_F(TlsContext, OnlyTheAllowedName) {
  auto wanted = settings(authority.issue("server"), authority.ca());
  wanted.allowed_cn = "etcd-peer";
  auto server = open(Side::server, wanted);
  auto right = open(Side::client, settings(authority.issue("right", {.cn = "etcd-peer"}), authority.ca()));
  auto wrong = open(Side::client, settings(authority.issue("wrong", {.cn = "other"}), authority.ca()));
  EXPECT_EQ(shake(*server, *right).server, "");
  EXPECT_THAT(shake(*server, *wrong).server, HasSubstr("its CN must be etcd-peer"));
  wanted.allowed_cn.clear();
  wanted.allowed_host = "a.peers.example";
  server = open(Side::server, wanted);
  right = open(Side::client, settings(authority.issue("right", {.cn = "x", .names = "DNS:*.peers.example"}),
                                      authority.ca()));
  EXPECT_EQ(shake(*server, *right).server, "");
  EXPECT_THAT(shake(*server, *wrong).server, HasSubstr("must be valid for a.peers.example"));
}

TEST_F(TlsContext, ARevokedCertificateIsTurnedAway) {
  const auto revoked = authority.issue("revoked");
  auto wanted = settings(authority.issue("server"), authority.ca());
  wanted.crl = authority.revoke(revoked);
  auto server = open(Side::server, wanted);
  auto bad = open(Side::client, settings(revoked, authority.ca()));
  auto good = open(Side::client, settings(authority.issue("good"), authority.ca()));
  EXPECT_THAT(shake(*server, *bad).server, HasSubstr("revoked"));
  EXPECT_EQ(shake(*server, *good).server, "");
}

TEST_F(TlsContext, WithoutVerificationAnybodyIsServed) {
  auto open_door = settings(authority.issue("server"), "");
  open_door.verify = false;
  auto server = open(Side::server, open_door);
  Settings trusting;
  trusting.verify = false;
  auto client = open(Side::client, trusting);
  EXPECT_EQ(shake(*server, *client, "anything.example").client, "");
}

TEST_F(TlsContext, RenewedCertificatesAreUsedAtTheNextHandshake) {
  auto server = open(Side::server, settings(authority.issue("server", {.cn = "first"}), authority.ca()));
  auto client = open(Side::client, settings(authority.issue("client"), authority.ca()));
  EXPECT_EQ(shake(*server, *client).client, "");
  EXPECT_EQ(server_cn, "first");
  const auto key = authority.path("server-key.pem");
  std::filesystem::copy_file(key, authority.path("kept"));
  authority.issue("server", {.cn = "second"});
  std::filesystem::rename(key, authority.path("new"));
  std::filesystem::rename(authority.path("kept"),
                          key);  // the certificate is new, the key is still the old one
  EXPECT_EQ(shake(*server, *client).client, "");
  EXPECT_EQ(server_cn, "first");
  std::filesystem::rename(authority.path("new"), key);
  EXPECT_EQ(shake(*server, *client).client, "");
  EXPECT_EQ(server_cn, "second");
}

TEST_F(TlsContext, VersionsAndCiphersCanBeLimited) {
  auto only13 = settings(authority.issue("server"), authority.ca());
  only13.lowest = Version::tls13;
  auto server = open(Side::server, only13);
  auto only12 = settings(authority.issue("client"), authority.ca());
  only12.highest = Version::tls12;
  auto client = open(Side::client, only12);
  EXPECT_THAT(shake(*server, *client).client, HasSubstr("other versions of TLS"));
  EXPECT_TRUE(known_cipher("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"));
  EXPECT_TRUE(known_cipher("TLS_AES_128_GCM_SHA256"));
  EXPECT_FALSE(known_cipher("TLS_MADE_UP"));
  auto one = settings(authority.issue("server"), authority.ca());
  one.ciphers = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
  one.highest = Version::tls12;
  server = open(Side::server, one);
  EXPECT_EQ(shake(*server, *client).client, "");
}

TEST_F(TlsContext, UnusableFilesAreNamed) {
  const auto good = authority.issue("good");
  const auto other = authority.issue("other");
  EXPECT_THAT(error(Side::server, settings({}, "")), HasSubstr("the certificate is missing"));
  EXPECT_THAT(error(Side::server, settings({good.certificate, ""}, "")), HasSubstr("go together"));
  EXPECT_THAT(error(Side::server, settings({"nowhere.pem", good.key}, "")),
              HasSubstr("nowhere.pem can not be read"));
  EXPECT_THAT(error(Side::server, settings({good.key, good.key}, "")),
              HasSubstr("is not a certificate in PEM form"));
  EXPECT_THAT(error(Side::server, settings({good.certificate, good.certificate}, "")),
              HasSubstr("is not a private key in PEM form"));
  EXPECT_THAT(error(Side::server, settings({good.certificate, other.key}, "")),
              HasSubstr("does not belong to " + good.certificate));
  EXPECT_THAT(error(Side::server, settings(good, good.key)), HasSubstr("is not a list of certificates"));
  auto revoking = settings(good, authority.ca());
  revoking.crl = good.key;
  EXPECT_THAT(error(Side::server, revoking), HasSubstr("list of revoked certificates"));
}

TEST_F(TlsContext, PlainTextIsRecognised) {
  asio::io_context io;
  auto server = open(Side::server, settings(authority.issue("server"), authority.ca()));
  for (const std::string text :
       {"QUORATE\x01 and what follows it", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"}) {
    asio::ssl::stream<Socket> a(io, server->current());
    Socket plain(io);
    asio::local::connect_pair(a.next_layer(), plain);
    asio::write(plain, asio::buffer(text));
    error_code error;
    a.handshake(asio::ssl::stream_base::server, error);
    EXPECT_THAT(server->explain(error, a.native_handle()), HasSubstr("plain text where TLS is expected"))
        << text;
  }
  EXPECT_TRUE(looks_like_tls("\x16\x03\x01"));
  EXPECT_FALSE(looks_like_tls("GET /"));
}

}  // namespace
}  // namespace quorate::tls
