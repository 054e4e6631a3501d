#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "api/http/transport.h"

namespace quorate::http {
namespace {

namespace ssl = boost::asio::ssl;

class TlsTransport final : public Transport {
 public:
  TlsTransport(Tcp::socket socket, Observer& observer, tls::Context& context)
      : context_(context),
        stream_(std::move(socket), context.current()),
        observer_(&observer),
        buffer_(16U << 10U) {}

  void start() override {
    stream_.async_handshake(ssl::stream_base::server, [this, keep = keep_alive()](const auto& error) {
      if (closed_) return;
      if (error) {
        report(error);
        return observer_->lost();
      }
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
  [[nodiscard]] std::string remote() const override { return remote_of(stream_.next_layer()); }

 private:
  std::shared_ptr<Observer> keep_alive() { return observer_->shared_from_this(); }

  void report(const boost::system::error_code& error) {
    const std::string from = remote();
    if (from.empty() || error == boost::asio::error::eof) return;  // a probe of the port is no news
    context_.report(from, error, stream_.native_handle());
    if (ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST) advise();
  }

  // A browser, or curl, shows what a server says before it closes.
  void advise() {
    static constexpr std::string_view advice =
        "HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain\r\n\r\nThis port speaks TLS: use https.\n";
    boost::system::error_code ignored;
    stream_.next_layer().non_blocking(true, ignored);
    stream_.next_layer().write_some(boost::asio::buffer(advice), ignored);
  }

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

  tls::Context& context_;
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

}  // namespace

std::unique_ptr<Transport> make_tls_transport(Tcp::socket socket, Transport::Observer& observer,
                                              tls::Context& context) {
  return std::make_unique<TlsTransport>(std::move(socket), observer, context);
}

}  // namespace quorate::http
