#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "api/http/transport.h"

namespace quorate::http {
namespace {

namespace ssl = boost::asio::ssl;

class TlsTransport final : public Transport {
 public:
  TlsTransport(Tcp::socket socket, Observer& observer, ssl::context& context)
      : stream_(std::move(socket), context), observer_(&observer), buffer_(16U << 10U) {}

  void start() override {
    stream_.async_handshake(ssl::stream_base::server, [this, keep = keep_alive()](const auto& error) {
      if (closed_) return;
      if (error) return observer_->lost();
      ready_ = true;
      read();
      flush();
    });
  }

  bool write(std::string_view data) override {
    if (closed_) return true;
    queue_.append(data);
    flush();
    return false;
  }
  [[nodiscard]] bool blocked() const override { return writing_ || !queue_.empty(); }
  [[nodiscard]] std::size_t unsent() const override { return queue_.size() + sending_.size(); }
  void pause_reading() override { paused_ = true; }
  void resume_reading() override {
    paused_ = false;
    if (ready_ && !reading_) read();
  }
  void close() override {
    closed_ = true;
    boost::system::error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  std::shared_ptr<Observer> keep_alive() { return observer_->shared_from_this(); }

  void read() {
    if (closed_ || paused_) return;
    reading_ = true;
    stream_.async_read_some(boost::asio::buffer(buffer_),
                            [this, keep = keep_alive()](const auto& error, std::size_t n) {
                              reading_ = false;
                              if (closed_) return;
                              if (error) return observer_->lost();
                              observer_->received({buffer_.data(), n});
                              read();
                            });
  }

  void flush() {
    if (!ready_ || writing_ || queue_.empty() || closed_) return;
    writing_ = true;
    sending_.swap(queue_);
    boost::asio::async_write(stream_, boost::asio::buffer(sending_),
                             [this, keep = keep_alive()](const auto& error, std::size_t) {
                               writing_ = false;
                               sending_.clear();
                               if (closed_) return;
                               if (error) return observer_->lost();
                               if (!queue_.empty()) return flush();
                               observer_->drained();
                             });
  }

  ssl::stream<Tcp::socket> stream_;
  Observer* observer_;
  std::vector<char> buffer_;
  std::string queue_;
  std::string sending_;
  bool ready_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool paused_ = false;
  bool closed_ = false;
};

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  static constexpr unsigned char known[] = "\x02h2\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, known, sizeof(known) - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

std::unique_ptr<Transport> make_tls_transport(Tcp::socket socket, Transport::Observer& observer,
                                              ssl::context& context) {
  return std::make_unique<TlsTransport>(std::move(socket), observer, context);
}

void offer_http_protocols(ssl::context& context) {
  SSL_CTX_set_alpn_select_cb(context.native_handle(), select_protocol, nullptr);
}

}  // namespace quorate::http
