#include "net/stream.h"

#include <utility>

#include <boost/asio/write.hpp>

namespace quorate::net {
namespace {

using boost::asio::ip::tcp;

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
    boost::system::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.set_option(boost::asio::socket_base::keep_alive(true), ignored);
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

}  // namespace

std::unique_ptr<Stream> plain_stream(tcp::socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace quorate::net
