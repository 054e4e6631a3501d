// The same port over TLS, with a certificate made for the test.
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

#include "api/http/testing/echo.h"
#include "tls/testing/authority.h"

namespace quorate::http {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

class Tls : public ::testing::Test {
 protected:
  Tls() : client_context(ssl::context::tls_client) {
    const auto files = authority.issue("server");
    tls::Settings settings;
    settings.certificate = files.certificate;
    settings.key = files.key;
    settings.verify = false;
    settings.alpn = http_protocols;
    server_context = tls::Context::open(tls::Side::server, settings).value();
    listener = std::make_unique<Listener>(
        io, echo, Limits{.tick = std::chrono::milliseconds(5), .head_timeout = std::chrono::milliseconds(40)},
        server_context.get());
    if (!listener->listen("127.0.0.1", 0)) throw std::runtime_error("listen");
  }
  bool until(const std::function<bool()>& met) {
    const auto give_up = Clock::now() + std::chrono::minutes(1);
    while (!met() && Clock::now() < give_up) {
      io.restart();
      io.run_one_for(std::chrono::milliseconds(1));
    }
    return met();
  }
  // Sends `request` after the handshake that offers `protocols`; what came back until `expected` is in it.
  std::string exchange(std::string_view protocols, const std::string& request, const std::string& expected) {
    ssl::stream<Tcp::socket> stream(io, client_context);
    SSL_set_alpn_protos(stream.native_handle(), reinterpret_cast<const unsigned char*>(protocols.data()),
                        static_cast<unsigned>(protocols.size()));
    stream.next_layer().connect({asio::ip::address_v4::loopback(), listener->port()});
    bool shaken = false;
    stream.async_handshake(ssl::stream_base::client, [&](const auto& error) { shaken = !error; });
    if (!until([&] { return shaken; })) return "no handshake";
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(stream.native_handle(), &chosen, &size);
    alpn.assign(reinterpret_cast<const char*>(chosen), size);
    asio::async_write(stream, asio::buffer(request), [](const auto&, std::size_t) {});
    std::string received;
    char buffer[16U << 10U];
    bool ended = false;
    std::function<void()> read = [&] {
      stream.async_read_some(asio::buffer(buffer), [&](const auto& error, std::size_t n) {
        received.append(buffer, n);
        ended = static_cast<bool>(error);
        if (!error) read();
      });
    };
    read();
    until([&] { return ended || received.find(expected) != std::string::npos; });
    stream.next_layer().close();
    until([&] { return ended; });
    return received;
  }

  asio::io_context io{1};
  tls::testing::Authority authority{"test authority"};
  std::shared_ptr<tls::Context> server_context;
  ssl::context client_context;
  testing::Echo echo;
  std::unique_ptr<Listener> listener;
  std::string alpn;
};

TEST_F(Tls, Http1) {
  const std::string large(100'000, 'b');
  const auto text = exchange("\x08http/1.1", "POST /tls HTTP/1.1\r\ncontent-length: 100000\r\n\r\n" + large,
                             "/tls||" + large);
  EXPECT_EQ(alpn, "http/1.1");
  EXPECT_THAT(text, ::testing::HasSubstr("/tls||" + large));
}

TEST_F(Tls, Http2IsPreferred) {
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  const auto text = exchange("\x08http/1.1\x02h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings,
                             std::string("\4\1\0\0\0\0", 6));
  EXPECT_EQ(alpn, "h2");
  EXPECT_NE(text.find(std::string("\4\1\0\0\0\0", 6)), std::string::npos);  // our SETTINGS are acknowledged
}

TEST_F(Tls, HandshakeThatNeverEndsIsCutOff) {
  Tcp::socket silent(io);
  silent.connect({asio::ip::address_v4::loopback(), listener->port()});
  EXPECT_TRUE(until([&] { return listener->statistics().accepted == 1; }));
  EXPECT_TRUE(until([&] { return listener->statistics().connections == 0; }));
}

TEST_F(Tls, PlainTextIsRefused) {
  Tcp::socket plain(io);
  plain.connect({asio::ip::address_v4::loopback(), listener->port()});
  asio::write(plain, asio::buffer("GET / HTTP/1.1\r\n\r\n", 18));
  EXPECT_TRUE(until([&] { return listener->statistics().accepted == 1; }));
  EXPECT_TRUE(until([&] { return listener->statistics().connections == 0; }));
}

}  // namespace
}  // namespace quorate::http
