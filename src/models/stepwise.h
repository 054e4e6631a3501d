// Work that may be left half done, as coroutines: they call each other, and pause where the pace says so.
// What they are in the middle of stays in their frames until they are told to go on.
//
//   Stepwise<Error> remove(..., Pace& pace) {
//     while (!batch(pace)) co_await Pause(pace);
//     co_return Error::none;
//   }
//   Steps<Error> steps(remove(..., pace));
//   while (!steps.go_on()) { pace.refill(rows); /* others get their turn */ }
//   steps.result();
//
// Every call and every return leads through go_on(): the stack does not grow with the number of calls, as it
// does where a compiler makes no tail calls.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

#include "models/pace.h"

namespace quorate::models {

// Where a run of coroutines goes on.
struct StepCursor {
  std::coroutine_handle<> at;
  bool paused = false;
};

struct StepPromise {
  StepCursor* cursor = nullptr;
  std::coroutine_handle<> caller;

  struct Return {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> done) const noexcept {
      done.promise().cursor->at = done.promise().caller;
    }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] Return final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <class T>
class [[nodiscard]] Stepwise {
 public:
  struct promise_type : StepPromise {
    T value{};
    Stepwise get_return_object() {
      return Stepwise(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    void return_value(T given) { value = std::move(given); }
  };

  Stepwise(Stepwise&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Stepwise(const Stepwise&) = delete;
  Stepwise& operator=(const Stepwise&) = delete;
  Stepwise& operator=(Stepwise&&) = delete;
  ~Stepwise() {
    if (handle_) handle_.destroy();
  }

  // Called by another one.
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> caller) noexcept {
    handle_.promise().cursor = caller.promise().cursor;
    handle_.promise().caller = caller;
    handle_.promise().cursor->at = handle_;
  }
  T await_resume() { return std::move(handle_.promise().value); }

 private:
  template <class>
  friend class Steps;
  explicit Stepwise(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

// A place to pause, if the pace is spent.
class Pause {
 public:
  explicit Pause(const Pace& pace) : pace_(pace) {}
  [[nodiscard]] bool await_ready() const noexcept { return !pace_.spent(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> here) const noexcept {
    here.promise().cursor->at = here;
    here.promise().cursor->paused = true;
  }
  void await_resume() const noexcept {}

 private:
  const Pace& pace_;
};

template <class T>
class Steps {
 public:
  explicit Steps(Stepwise<T> first) : first_(std::move(first)), cursor_{first_.handle_} {
    first_.handle_.promise().cursor = &cursor_;
  }
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  // Until the next pause, or the end: then true.
  bool go_on() {
    cursor_.paused = false;
    while (!cursor_.paused && cursor_.at) std::exchange(cursor_.at, nullptr).resume();
    return first_.handle_.done();
  }
  [[nodiscard]] T result() { return first_.await_resume(); }

 private:
  Stepwise<T> first_;
  StepCursor cursor_;
};

}  // namespace quorate::models
