#include "net/stream.h"

#include <utility>

#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

namespace quorate::net {
namespace {

namespace ssl = boost::asio::ssl;
using boost::asio::ip::tcp;
using boost::system::error_code;

void set_options(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
}

std::string name_of(const tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "?";
  const auto host = endpoint.address().to_string(error);
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

class PlainStream final : public Stream {
 public:
  explicit PlainStream(tcp::socket socket) : socket_(std::move(socket)), remote_(name_of(socket_)) {
    set_options(socket_);
  }
  void read_some(char* data, std::size_t size, Transferred done) override {
    socket_.async_read_some(boost::asio::mutable_buffer(data, size), std::move(done));
  }
  void write(const std::vector<boost::asio::const_buffer>& buffers, Transferred done) override {
    boost::asio::async_write(socket_, buffers, std::move(done));
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }
  const std::string& remote() const override { return remote_; }

 private:
  tcp::socket socket_;
  std::string remote_;
};

class TlsStream final : public Stream {
 public:
  TlsStream(tcp::socket socket, std::shared_ptr<tls::Context> context, const std::string& host)
      : remote_(name_of(socket)),
        context_(std::move(context)),
        stream_(std::move(socket), context_->current()) {
    set_options(stream_.next_layer());
    if (context_->side() == tls::Side::client) context_->expect_host(stream_.native_handle(), host);
  }

  void read_some(char* data, std::size_t size, Transferred done) override {
    if (state_ == State::ready) return read_now(data, size, std::move(done));
    state_ = State::shaking;
    const auto side =
        context_->side() == tls::Side::client ? ssl::stream_base::client : ssl::stream_base::server;
    stream_.async_handshake(side, [this, data, size, done = std::move(done)](error_code error) mutable {
      if (error) return done(error, 0);
      state_ = State::ready;
      read_now(data, size, std::move(done));
      if (auto waiting = std::exchange(waiting_, nullptr))
        write(std::exchange(buffers_, {}), std::move(waiting));
    });
  }
  void write(const std::vector<boost::asio::const_buffer>& buffers, Transferred done) override {
    if (state_ == State::ready) return boost::asio::async_write(stream_, buffers, std::move(done));
    buffers_ = buffers;
    waiting_ = std::move(done);
  }
  // A writer that waits for the handshake hears nothing: whoever closes a stream asks no more of it.
  void close() override {
    error_code ignored;
    waiting_ = nullptr;
    stream_.next_layer().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.next_layer().close(ignored);
  }
  const std::string& remote() const override { return remote_; }
  std::string reason(const error_code& error) const override {
    return context_->explain(error, stream_.native_handle());
  }

 private:
  enum class State { fresh, shaking, ready };

  void read_now(char* data, std::size_t size, Transferred done) {
    stream_.async_read_some(boost::asio::mutable_buffer(data, size), std::move(done));
  }

  std::string remote_;
  std::shared_ptr<tls::Context> context_;
  mutable ssl::stream<tcp::socket> stream_;
  State state_ = State::fresh;
  std::vector<boost::asio::const_buffer> buffers_;
  Transferred waiting_;
};

}  // namespace

std::string Stream::reason(const error_code& error) const {
  return error == boost::asio::error::eof ? hung_up : error.message();
}

std::unique_ptr<Stream> plain_stream(tcp::socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

std::unique_ptr<Stream> tls_stream(tcp::socket socket, std::shared_ptr<tls::Context> context,
                                   const std::string& host) {
  return std::make_unique<TlsStream>(std::move(socket), std::move(context), host);
}

}  // namespace quorate::net
