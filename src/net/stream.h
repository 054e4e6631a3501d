// A connected byte stream, plain TCP or TLS; nothing above notices which.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include "tls/context.h"

namespace quorate::net {

using Transferred = std::move_only_function<void(boost::system::error_code, std::size_t)>;

inline constexpr const char* hung_up = "closed by the other side";

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // One of each at a time. Completions run on the io_context, never within the call; until then, closed or
  // not, `done` keeps the stream alive.
  virtual void read_some(char* data, std::size_t size, Transferred done) = 0;
  virtual void write(const std::vector<boost::asio::const_buffer>& buffers, Transferred done) = 0;
  virtual void close() = 0;                                     // outstanding calls complete with an error
  [[nodiscard]] virtual const std::string& remote() const = 0;  // "host:port", for people
  // Why an operation failed, for people.
  [[nodiscard]] virtual std::string reason(const boost::system::error_code& error) const;
};

std::unique_ptr<Stream> plain_stream(boost::asio::ip::tcp::socket socket);

// Shakes hands at the first read, which fails if that fails; what is written before waits for it. A client
// names the host it dialled, for which the server's certificate must be valid.
std::unique_ptr<Stream> tls_stream(boost::asio::ip::tcp::socket socket, std::shared_ptr<tls::Context> context,
                                   const std::string& host = "");

}  // namespace quorate::net
