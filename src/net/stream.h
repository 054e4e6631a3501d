// A connected byte stream: plain TCP here; TLS is one more implementation, and nothing above notices.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace quorate::net {

using Transferred = std::move_only_function<void(boost::system::error_code, std::size_t)>;

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // One of each at a time. Completions run on the io_context, never within the call.
  virtual void read_some(char* data, std::size_t size, Transferred done) = 0;
  virtual void write(const std::vector<boost::asio::const_buffer>& buffers, Transferred done) = 0;
  virtual void close() = 0;                                     // outstanding calls complete with an error
  [[nodiscard]] virtual const std::string& remote() const = 0;  // "host:port", for people
};

std::unique_ptr<Stream> plain_stream(boost::asio::ip::tcp::socket socket);

}  // namespace quorate::net
