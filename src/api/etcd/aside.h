// Work that would keep the reactor from its clients: large reads, large JSON. Done on other threads, one
// piece after the other, a bounded number waiting; what comes of it is taken up on the reactor again.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace quorate::api::etcd {

class Aside {
 public:
  using Piece = std::move_only_function<void()>;
  using Wanted = std::move_only_function<bool()>;
  // Where pieces run; for tests that want to say when.
  using Executor = std::function<void(Piece)>;

  static constexpr std::size_t most_waiting = 256;
  static constexpr std::size_t at_once = 2;

  explicit Aside(boost::asio::io_context& io, Executor elsewhere = {})
      : io_(&io), elsewhere_(std::move(elsewhere)) {}
  // What has not begun is dropped; nobody is told any more.
  ~Aside() {
    if (threads_) threads_->stop();
    threads_.reset();
    *alive_ = false;
  }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

  // `done(work())`, with `work` elsewhere and `done` on the reactor. Neither, and false, if too much waits.
  // `wanted` is asked on the reactor when it is the work's turn; where it says no, that was all.
  // Whatever these hold is copied and destroyed on the reactor only.
  template <class Work, class Done>
  [[nodiscard]] bool run(Work work, Done done, Wanted wanted = {}) {
    if (waiting_.size() + running_ >= most_waiting) return false;
    auto task = std::make_unique<Task<Work, Done>>(std::move(work), std::move(done));
    waiting_.push_back({std::move(wanted), [this, io = io_, alive = alive_, task = std::move(task),
                                            busy = boost::asio::make_work_guard(*io_)]() mutable {
                          task->result.emplace(task->work());
                          boost::asio::post(*io, [this, alive = std::move(alive), task = std::move(task)] {
                            if (!*alive) return;
                            --running_;
                            task->done(std::move(*task->result));
                            if (*alive) begin();
                          });
                        }});
    begin();
    return true;
  }

 private:
  // Handed from thread to thread by its place alone: what it holds counts its owners for one thread.
  template <class Work, class Done>
  struct Task {
    Task(Work does, Done then) : work(std::move(does)), done(std::move(then)) {}
    Work work;
    Done done;
    std::optional<std::invoke_result_t<Work&>> result;
  };

  struct Waiting {
    Wanted wanted;
    Piece piece;
  };

  void begin() {
    while (running_ < at_once && !waiting_.empty()) {
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      if (next.wanted && !next.wanted()) continue;
      ++running_;
      start(std::move(next.piece));
    }
  }
  void start(Piece piece) {
    if (elsewhere_) return elsewhere_(std::move(piece));
    if (!threads_) threads_ = std::make_unique<boost::asio::thread_pool>(at_once);
    boost::asio::post(*threads_, std::move(piece));
  }

  boost::asio::io_context* io_;
  Executor elsewhere_;
  std::unique_ptr<boost::asio::thread_pool> threads_;  // once they are needed
  std::deque<Waiting> waiting_;
  std::size_t running_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::api::etcd
