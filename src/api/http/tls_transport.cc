// TLS above a plain transport: it has no socket, buffer or waiting of its own.
#include <algorithm>
#include <array>

#include "api/http/transport.h"
#include "tls/channel.h"

namespace quorate::http {
namespace {

constexpr std::size_t record = 16U << 10U;

// Asynchronous operations keep it alive, and with it the transport below.
class Layer final : public Transport::Observer {
 public:
  Layer(Tcp::socket socket, Observer& above, tls::Context& context, ReadBuffer& buffer)
      : context_(context),
        channel_(context),
        above_(&above),
        below_(make_plain_transport(std::move(socket), *this, buffer)) {}

  void received(std::string_view cipher) override {
    if (above_ == nullptr) return;
    const auto keep = above_->shared_from_this();
    if (!channel_.ready() && speaks_http(cipher)) return advise();
    std::string plain;
    const auto taken = channel_.receive(cipher, plain);
    flush();
    if (!plain.empty()) above_->received(plain);
    if (taken || above_ == nullptr) return;
    if (!channel_.ready()) context_.report(below_->remote(), taken.error());
    above_->lost();
  }
  void drained() override {
    if (above_ != nullptr) above_->drained();
  }
  void lost() override {
    if (above_ != nullptr) above_->lost();
  }

  bool write(std::string_view plain) {
    for (; !plain.empty(); plain.remove_prefix(std::min(plain.size(), record))) {
      channel_.send(plain.substr(0, record));
      flush();
    }
    return !below_->blocked();
  }
  void close() {
    above_ = nullptr;
    below_->close();
  }
  [[nodiscard]] Transport& below() const { return *below_; }

 private:
  void flush() {
    if (const auto cipher = channel_.output(); !cipher.empty()) below_->write(cipher);
    channel_.output_taken();
  }

  static bool speaks_http(std::string_view first) {
    static constexpr std::array<std::string_view, 6> methods = {"GET ", "HEAD",    "POST",
                                                                "PUT ", "OPTIONS", "DELETE"};
    return std::ranges::any_of(methods, [&](std::string_view method) { return first.starts_with(method); });
  }
  // A browser, or curl, shows what a server says before it closes.
  void advise() {
    context_.report(below_->remote(), tls::plain_text_words);
    below_->write(
        "HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain\r\n\r\nThis port speaks TLS: use https.\n");
    above_->lost();
  }

  tls::Context& context_;
  tls::Channel channel_;
  Observer* above_;
  std::unique_ptr<Transport> below_;
};

class TlsTransport final : public Transport {
 public:
  explicit TlsTransport(std::shared_ptr<Layer> layer) : layer_(std::move(layer)) {}
  ~TlsTransport() override { layer_->close(); }
  TlsTransport(const TlsTransport&) = delete;
  TlsTransport& operator=(const TlsTransport&) = delete;

  void start() override { layer_->below().start(); }
  bool write(std::string_view data) override { return layer_->write(data); }
  [[nodiscard]] bool blocked() const override { return layer_->below().blocked(); }
  [[nodiscard]] std::size_t unsent() const override { return layer_->below().unsent(); }
  void pause_reading() override { layer_->below().pause_reading(); }
  void resume_reading() override { layer_->below().resume_reading(); }
  void close() override { layer_->close(); }
  [[nodiscard]] std::string remote() const override { return layer_->below().remote(); }

 private:
  std::shared_ptr<Layer> layer_;
};

}  // namespace

std::unique_ptr<Transport> make_tls_transport(Tcp::socket socket, Transport::Observer& observer,
                                              tls::Context& context, ReadBuffer& buffer) {
  return std::make_unique<TlsTransport>(
      std::make_shared<Layer>(std::move(socket), observer, context, buffer));
}

}  // namespace quorate::http
