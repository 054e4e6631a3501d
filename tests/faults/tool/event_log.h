// What watches told: every revision once, in order, the same to all of them.
#pragma once

#include <cstdint>
#include <expected>
#include <mutex>
#include <string>
#include <vector>

#include "client/loop.h"

namespace quorate::faults {

struct Event {
  std::string key;
  bool put = true;  // else: deleted
  std::string value;
  std::int64_t create = 0;  // of a put, as etcd's KeyValue has them
  std::int64_t version = 0;
  std::int64_t lease = 0;
  friend bool operator==(const Event&, const Event&) = default;
};

// One revision: a write transaction has at least one event.
struct Step {
  std::int64_t revision = 0;
  std::vector<Event> events;
  client::Time received;  // by the first watcher to hear of it
};

// Shared by all watchers: the first to tell a revision sets it, the others must agree.
class EventLog {
 public:
  // Revisions from after + 1 are expected.
  explicit EventLog(std::int64_t after) : after_(after) {}

  // The error is a violation, told in words.
  [[nodiscard]] std::expected<void, std::string> deliver(std::int64_t revision, std::vector<Event> events);
  [[nodiscard]] std::int64_t last() const;
  [[nodiscard]] std::int64_t after() const { return after_; }
  // Once no watcher runs any more.
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

 private:
  mutable std::mutex mutex_;
  std::int64_t after_;
  std::vector<Step> steps_;
};

// One watcher's view of the order: gaps, repetitions, and events behind a promise that there are none.
class Sequence {
 public:
  explicit Sequence(std::int64_t after) : next_(after + 1) {}
  [[nodiscard]] std::int64_t next() const { return next_; }

  [[nodiscard]] std::expected<void, std::string> take(std::int64_t revision);
  // The server says that everything up to `revision` was sent.
  [[nodiscard]] std::expected<void, std::string> progress(std::int64_t revision);

 private:
  std::int64_t next_;
};

}  // namespace quorate::faults
