#include <cerrno>

#include <sys/socket.h>

#include "api/http/transport.h"

namespace quorate::http {
namespace {

class PlainTransport final : public Transport {
 public:
  PlainTransport(Tcp::socket socket, Observer& observer, ReadBuffer& buffer)
      : socket_(std::move(socket)), observer_(&observer), buffer_(&buffer) {}

  void start() override { wait_readable(); }

  bool write(std::string_view data) override {
    if (!socket_.is_open()) return true;
    if (blocked_) {
      pending_.append(data);
      return false;
    }
    const std::size_t sent = send(data);
    if (sent == data.size() || !socket_.is_open()) return true;
    pending_.assign(data.substr(sent));
    offset_ = 0;
    blocked_ = true;
    wait_writable();
    return false;
  }

  [[nodiscard]] bool blocked() const override { return blocked_; }
  [[nodiscard]] std::size_t unsent() const override { return pending_.size() - offset_; }
  void pause_reading() override {
    paused_ = true;
    watch_for_loss();
  }
  void resume_reading() override {
    paused_ = false;
    if (!waiting_) wait_readable();
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  [[nodiscard]] std::string remote() const override { return remote_of(socket_); }

 private:
  static constexpr int reads_per_turn = 4;  // then the other connections of the reactor have theirs

  void wait_readable() {
    if (!socket_.is_open()) return;
    waiting_ = true;
    socket_.async_wait(Tcp::socket::wait_read,
                       [this, keep = observer_->shared_from_this()](const auto& error) {
                         waiting_ = false;
                         if (!error) read();
                       });
  }

  void read() {
    for (int i = 0; i < reads_per_turn && socket_.is_open() && !paused_; ++i) {
      const ssize_t n = ::recv(socket_.native_handle(), buffer_->data(), buffer_->size(), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (n <= 0) return observer_->lost();
      observer_->received({buffer_->data(), static_cast<std::size_t>(n)});
      if (static_cast<std::size_t>(n) < buffer_->size()) break;
    }
    if (!paused_) wait_readable();
  }

  // Who does not read hears nothing of the client's end, nor of a failed write.
  void watch_for_loss() {
    if (std::exchange(watching_, true) || !socket_.is_open()) return;
    socket_.async_wait(Tcp::socket::wait_error,
                       [this, keep = observer_->shared_from_this()](const auto& error) {
                         watching_ = false;
                         if (!error && paused_) observer_->lost();
                       });
  }

  void wait_writable() {
    socket_.async_wait(Tcp::socket::wait_write,
                       [this, keep = observer_->shared_from_this()](const auto& error) {
                         if (error || !socket_.is_open()) return;
                         offset_ += send(std::string_view(pending_).substr(offset_));
                         if (!socket_.is_open()) return observer_->lost();
                         if (offset_ < pending_.size()) return wait_writable();
                         pending_ = std::string();  // a connection that keeps up holds no buffer
                         offset_ = 0;
                         blocked_ = false;
                         observer_->drained();
                       });
  }

  // Shuts the socket down on an error; who waits for it then tells the observer.
  std::size_t send(std::string_view data) {
    std::size_t done = 0;
    while (done < data.size()) {
      const ssize_t n = ::send(socket_.native_handle(), data.data() + done, data.size() - done,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (n < 0) {
        boost::system::error_code ignored;
        socket_.shutdown(Tcp::socket::shutdown_both, ignored);
        return data.size();
      }
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Tcp::socket socket_;
  Observer* observer_;
  ReadBuffer* buffer_;
  std::string pending_;
  std::size_t offset_ = 0;
  bool blocked_ = false;
  bool paused_ = false;
  bool waiting_ = false;
  bool watching_ = false;
};

}  // namespace

std::string remote_of(const Tcp::socket& socket) {
  boost::system::error_code gone;
  const auto remote = socket.remote_endpoint(gone);
  return gone ? std::string() : remote.address().to_string() + ":" + std::to_string(remote.port());
}

std::unique_ptr<Transport> make_plain_transport(Tcp::socket socket, Transport::Observer& observer,
                                                ReadBuffer& buffer) {
  return std::make_unique<PlainTransport>(std::move(socket), observer, buffer);
}

}  // namespace quorate::http
