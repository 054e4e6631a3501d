#include "tls/channel.h"

#include <array>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace quorate::tls {

namespace {
constexpr std::size_t record = 16U << 10U;  // as much as one holds (RFC 8446 §5.1)
}

void Channel::Free::operator()(SSL* connection) const { SSL_free(connection); }

Channel::Channel(Context& context, const std::string& host)
    : context_(context),
      connection_(SSL_new(context.current().native_handle())),
      in_(BIO_new(BIO_s_mem())),
      out_(BIO_new(BIO_s_mem())) {
  SSL_set_bio(connection_.get(), in_, out_);
  SSL_set_mode(connection_.get(), SSL_MODE_RELEASE_BUFFERS);
  if (context.side() == Side::server) {
    SSL_set_accept_state(connection_.get());
  } else {
    SSL_set_connect_state(connection_.get());
    context.expect_host(connection_.get(), host);
  }
}

Channel::~Channel() = default;

bool Channel::ready() const { return SSL_is_init_finished(connection_.get()) == 1; }

bool Channel::shake_hands() {
  const int done = SSL_do_handshake(connection_.get());
  if (done == 1 && !waiting_.empty()) send_now(std::exchange(waiting_, {}));
  return done == 1 || SSL_get_error(connection_.get(), done) == SSL_ERROR_WANT_READ;
}

// A record at a time, so that the memory between does not grow with what arrives at once.
std::expected<void, std::string> Channel::receive(std::string_view cipher, std::string& plain) {
  ERR_clear_error();
  do {
    const auto piece = cipher.substr(0, record);
    cipher.remove_prefix(piece.size());
    BIO_write(in_, piece.data(), static_cast<int>(piece.size()));
    if (!ready() && !shake_hands()) return std::unexpected(failure());
    if (!ready()) continue;
    if (auto taken = read(plain); !taken) return taken;
  } while (!cipher.empty());
  return {};
}

std::expected<void, std::string> Channel::read(std::string& plain) {
  std::array<char, record> piece;
  for (;;) {
    const int got = SSL_read(connection_.get(), piece.data(), piece.size());
    if (got <= 0) {
      const int why = SSL_get_error(connection_.get(), got);
      if (why == SSL_ERROR_WANT_READ) return {};
      return std::unexpected(why == SSL_ERROR_ZERO_RETURN ? hang_up() : failure());
    }
    plain.append(piece.data(), static_cast<std::size_t>(got));
  }
}

void Channel::send(std::string_view plain) {
  if (!ready()) {
    waiting_.append(plain);
  } else if (!plain.empty()) {
    send_now(plain);
  }
}

// Into memory, which takes everything.
void Channel::send_now(std::string_view plain) {
  SSL_write(connection_.get(), plain.data(), static_cast<int>(plain.size()));
}

std::string_view Channel::output() const {
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(out_, &bytes);
  return size <= 0 ? std::string_view() : std::string_view(bytes, static_cast<std::size_t>(size));
}

void Channel::output_taken() { BIO_reset(out_); }

std::string Channel::hang_up() const { return context_.explain(boost::asio::error::eof, connection_.get()); }

std::string Channel::failure() const {
  const boost::system::error_code error(static_cast<int>(ERR_get_error()),
                                        boost::asio::error::get_ssl_category());
  return context_.explain(error, connection_.get());
}

}  // namespace quorate::tls
