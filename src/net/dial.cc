#include "net/dial.h"

#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace quorate::net {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(boost::asio::io_context& context, Address address, std::shared_ptr<tls::Context> tls, Dialled done)
      : context_(context),
        address_(std::move(address)),
        tls_(std::move(tls)),
        done_(std::move(done)),
        resolver_(context),
        socket_(context),
        timer_(context) {}

  void start(std::chrono::milliseconds limit) {
    if (address_.tls && !tls_) {
      return boost::asio::post(context_, [self = shared_from_this()] {
        self->finish(
            "its URL is https, and this node has no certificates for peers (peer-cert-file, [node.tls])");
      });
    }
    timer_.expires_after(limit);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->finish("no answer in time");
    });
    error_code not_literal;
    const auto literal = boost::asio::ip::make_address(address_.host, not_literal);
    if (!not_literal) return connect_to(tcp::endpoint(literal, address_.port));
    resolver_.async_resolve(
        address_.host, std::to_string(address_.port),
        [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
          if (error) return self->finish(error.message());
          self->connect_to(*found.begin());
        });
  }

 private:
  void connect_to(const tcp::endpoint& endpoint) {
    if (!done_) return;
    socket_.async_connect(endpoint, [self = shared_from_this()](error_code error) {
      if (error) return self->finish(error.message());
      if (!self->done_) return;
      self->timer_.cancel();
      self->deliver(self->address_.tls ? tls_stream(std::move(self->socket_), self->tls_, self->address_.host)
                                       : plain_stream(std::move(self->socket_)));
    });
  }
  void finish(const std::string& reason) {
    error_code ignored;
    timer_.cancel();
    resolver_.cancel();
    socket_.close(ignored);
    deliver(std::unexpected(to_string(address_) + ": " + reason));
  }
  void deliver(std::expected<std::unique_ptr<Stream>, std::string> result) {
    if (auto done = std::exchange(done_, nullptr)) done(std::move(result));
  }

  boost::asio::io_context& context_;
  Address address_;
  std::shared_ptr<tls::Context> tls_;
  Dialled done_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  boost::asio::steady_timer timer_;
};

}  // namespace

void dial(boost::asio::io_context& context, const Address& address, std::chrono::milliseconds limit,
          const std::shared_ptr<tls::Context>& tls, Dialled done) {
  std::make_shared<Attempt>(context, address, tls, std::move(done))->start(limit);
}

}  // namespace quorate::net
