#include "client/loop.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unistd.h>

namespace quorate::client {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Each watcher is owned by its handle and holds itself weakly while it waits: a dropped handle ends the wait.
struct TimerWatch : std::enable_shared_from_this<TimerWatch> {
  TimerWatch(asio::io_context& io, std::chrono::nanoseconds p, std::function<void()> c)
      : timer(io), period(p), callback(std::move(c)) {}
  void wait() {
    timer.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (!self || error) return;
      if (self->repeat) {
        self->timer.expires_at(self->timer.expiry() + self->period);
        self->wait();
      }
      self->callback();
    });
  }
  asio::steady_timer timer;
  std::chrono::nanoseconds period;
  std::function<void()> callback;
  bool repeat = false;
};

struct SignalWatch : std::enable_shared_from_this<SignalWatch> {
  SignalWatch(asio::io_context& io, std::function<void(int)> c) : set(io), callback(std::move(c)) {}
  void wait() {
    set.async_wait([weak = weak_from_this()](error_code error, int signal) {
      const auto self = weak.lock();
      if (!self || error) return;
      self->wait();
      self->callback(signal);
    });
  }
  asio::signal_set set;
  std::function<void(int)> callback;
};

struct ReadWatch : std::enable_shared_from_this<ReadWatch> {
  ReadWatch(asio::io_context& io, int fd, std::function<void()> c) : descriptor(io), callback(std::move(c)) {
    error_code ignored;
    descriptor.assign(fd, ignored);
  }
  ~ReadWatch() {
    if (descriptor.is_open()) descriptor.release();
  }
  void ready() {
    callback();
    if (weak_from_this().use_count() > 1) wait();  // more than the caller of ready() holds it
  }
  void wait() {
    if (regular) {
      asio::post(descriptor.get_executor(), [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->ready();
      });
      return;
    }
    descriptor.async_wait(
        asio::posix::stream_descriptor::wait_read, [weak = weak_from_this()](error_code error) {
          const auto self = weak.lock();
          if (!self || error == asio::error::operation_aborted) return;
          self->regular = static_cast<bool>(error);  // epoll refuses files; they can always be read
          self->ready();
        });
  }
  asio::posix::stream_descriptor descriptor;
  bool regular = false;
  std::function<void()> callback;
};

}  // namespace

Loop::Loop() : io_(std::make_unique<asio::io_context>(1)) {}
Loop::~Loop() = default;

bool Loop::run_until(const std::function<bool()>& done, Time deadline) {
  while (!done()) {
    io_->restart();
    if (deadline == Time::max()) {
      if (io_->run_one() == 0) return done();  // nothing left that could make it true
    } else {
      const auto now = Clock::now();
      if (now >= deadline) return false;
      // run_one_until returns 0 at the deadline, and at once when there is no work at all.
      if (io_->run_one_until(deadline) == 0) return done();
    }
  }
  return true;
}

Loop::Handle Loop::after(std::chrono::nanoseconds delay, std::function<void()> callback) {
  auto watch = std::make_shared<TimerWatch>(*io_, delay, std::move(callback));
  watch->timer.expires_after(delay);
  watch->wait();
  return watch;
}

Loop::Handle Loop::every(std::chrono::nanoseconds period, std::function<void()> callback) {
  auto watch = std::make_shared<TimerWatch>(*io_, period, std::move(callback));
  watch->repeat = true;
  watch->timer.expires_after(period);
  watch->wait();
  return watch;
}

Loop::Handle Loop::on_signal(std::initializer_list<int> signals, std::function<void(int)> callback) {
  auto watch = std::make_shared<SignalWatch>(*io_, std::move(callback));
  for (const int signal : signals) watch->set.add(signal);
  watch->wait();
  return watch;
}

Loop::Handle Loop::on_readable(int fd, std::function<void()> callback) {
  auto watch = std::make_shared<ReadWatch>(*io_, fd, std::move(callback));
  watch->wait();
  return watch;
}

}  // namespace quorate::client
