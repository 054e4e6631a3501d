// The event loop under a client: one thread, that of whoever calls run_until. Hides Boost.Asio from
// includers.
#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <initializer_list>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace quorate::client {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Handles events until done() or until the deadline; true if done. done() is asked after every event.
  bool run_until(const std::function<bool()>& done, Time deadline = Time::max());

  // The returned handle keeps the callback alive; dropping it cancels.
  using Handle = std::shared_ptr<void>;
  [[nodiscard]] Handle after(std::chrono::nanoseconds delay, std::function<void()> callback);  // once
  [[nodiscard]] Handle every(std::chrono::nanoseconds period, std::function<void()> callback);
  [[nodiscard]] Handle on_signal(std::initializer_list<int> signals,
                                 std::function<void(int)> callback);  // each
  // Whenever `fd` can be read; the callback must read it or drop the handle. `fd` stays the caller's.
  [[nodiscard]] Handle on_readable(int fd, std::function<void()> callback);

  [[nodiscard]] boost::asio::io_context& io() { return *io_; }

 private:
  std::unique_ptr<boost::asio::io_context> io_;
};

}  // namespace quorate::client
