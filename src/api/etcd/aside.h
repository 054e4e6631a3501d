// Work that would keep the reactor from its clients: large reads, large JSON. Done on other threads, one
// piece after the other, a bounded number waiting; what comes of it is taken up on the reactor again.
#pragma once

#include <cstddef>
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
  // Where pieces run; for tests that want to say when.
  using Executor = std::function<void(Piece)>;

  static constexpr std::size_t most_waiting = 256;

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
  // Whatever the two hold is copied and destroyed on the reactor only.
  template <class Work, class Done>
  [[nodiscard]] bool run(Work work, Done done) {
    if (waiting_ == most_waiting) return false;
    ++waiting_;
    auto task = std::make_unique<Task<Work, Done>>(std::move(work), std::move(done));
    start([this, io = io_, alive = alive_, task = std::move(task),
           busy = boost::asio::make_work_guard(*io_)]() mutable {
      task->result.emplace(task->work());
      boost::asio::post(*io, [this, alive = std::move(alive), task = std::move(task)] {
        if (!*alive) return;
        --waiting_;
        task->done(std::move(*task->result));
      });
    });
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

  void start(Piece piece) {
    if (elsewhere_) return elsewhere_(std::move(piece));
    if (!threads_) threads_ = std::make_unique<boost::asio::thread_pool>(2);
    boost::asio::post(*threads_, std::move(piece));
  }

  boost::asio::io_context* io_;
  Executor elsewhere_;
  std::unique_ptr<boost::asio::thread_pool> threads_;  // once they are needed
  std::size_t waiting_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::api::etcd
