// Bytes to and from one client: plain TCP or TLS behind one interface, so that the protocols above are not
// templates. Reads go to a buffer shared by all connections of a reactor: an idle connection holds none.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "tls/context.h"

namespace quorate::http {

using Tcp = boost::asio::ip::tcp;

// Not cleared: what no read has filled yet takes no memory.
class ReadBuffer {
 public:
  explicit ReadBuffer(std::size_t size)
      : memory_(std::make_unique_for_overwrite<char[]>(size)), size_(size) {}
  [[nodiscard]] char* data() { return memory_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::unique_ptr<char[]> memory_;
  std::size_t size_;
};

class Transport {
 public:
  class Observer : public std::enable_shared_from_this<Observer> {
   public:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer() = default;
    virtual void received(std::string_view data) = 0;
    virtual void drained() = 0;  // everything written has been taken, after write() gave false
    virtual void lost() = 0;     // closed by the peer, or failed; nothing follows
  };

  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  virtual void start() = 0;
  // Takes all of `data`; false: some of it waits for the client, drained() follows.
  virtual bool write(std::string_view data) = 0;
  [[nodiscard]] virtual bool blocked() const = 0;
  [[nodiscard]] virtual std::size_t unsent() const = 0;
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  virtual void close() = 0;                                        // no more calls to the observer
  [[nodiscard]] virtual std::string remote() const { return {}; }  // "host:port", if there is such a thing
};

std::unique_ptr<Transport> make_plain_transport(Tcp::socket socket, Transport::Observer& observer,
                                                ReadBuffer& buffer);
std::unique_ptr<Transport> make_tls_transport(Tcp::socket socket, Transport::Observer& observer,
                                              tls::Context& context, ReadBuffer& buffer);
[[nodiscard]] std::string remote_of(const Tcp::socket& socket);
// To agree on with clients over TLS (ALPN), the preferred one first.
inline const std::vector<std::string> http_protocols = {"h2", "http/1.1"};

}  // namespace quorate::http
