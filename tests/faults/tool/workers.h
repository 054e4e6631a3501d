// The clients of a run: each is a thread with a connection of its own, over all endpoints in turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/etcd.h"
#include "core/rng.h"
#include "tool/event_log.h"
#include "tool/history.h"

namespace quorate::faults {

// Where the members are reached; they come and go.
class Endpoints {
 public:
  void set(std::vector<client::Endpoint> all) {
    const std::lock_guard lock(mutex_);
    all_ = std::move(all);
    ++version_;
  }
  [[nodiscard]] std::vector<client::Endpoint> get() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  mutable std::mutex mutex_;
  std::vector<client::Endpoint> all_;
  std::atomic<std::uint64_t> version_ = 0;
};

struct Run {
  std::string tag;  // part of every key: runs on one cluster do not meet
  Endpoints endpoints;
  std::uint64_t seed = 1;
  std::chrono::milliseconds pause{2};  // between two operations of a client, on average
  History history;
  std::atomic<bool> ending = false;
  std::atomic<std::uint64_t> operations = 0;
};

// A client that tells the history of its failures and goes to another endpoint after one.
class Worker {
 public:
  Worker(Run& run, std::uint64_t number, std::chrono::milliseconds timeout);

 protected:
  template <class Request, class Response>
  std::expected<Response, client::Status> call(const client::Rpc<Request, Response>& rpc,
                                               const Request& request) {
    auto answer = client_->call(rpc, request);
    if (!answer) note(answer.error());
    return answer;
  }
  void note(const client::Status& status);
  void rest(std::chrono::milliseconds about);
  [[nodiscard]] bool ending() const { return run_.ending; }
  // Grants a lease and keeps trying until one is there or the run ends (0).
  std::int64_t grant(std::int64_t seconds);
  // True: the server acknowledged it.
  bool renew(std::int64_t lease);

  Run& run_;
  std::uint64_t number_;
  Rng rng_;
  std::unique_ptr<client::Client> client_;

 private:
  void meet();  // the members there are now

  std::chrono::milliseconds timeout_;
  std::uint64_t known_ = 0;  // the version of the endpoints
};

void run_register_worker(Run& run, std::uint64_t number);  // get, put, compare-and-swap, delete
void run_reader(Run& run, std::uint64_t number);           // get, linearizable, and nothing else
void run_lock_worker(Run& run, std::uint64_t number);      // lock, count under its fence, unlock
void run_election_worker(Run& run, std::uint64_t number);  // campaign, proclaim, resign
void run_lease_worker(Run& run, std::uint64_t number);     // leased keys that are left to expire

// Watches everything from one endpoint, then from the next. Ends when it has told `until` (0: not known yet)
// or, `until` being known, at the deadline.
class Watcher {
 public:
  Watcher(Run& run, EventLog& log, std::uint64_t number);
  void watch();
  void finish(std::int64_t until, client::Time deadline);
  [[nodiscard]] std::int64_t next() const { return position_; }

 private:
  void follow(client::Client& client);
  [[nodiscard]] bool done() const;
  bool take(const etcdserverpb::WatchResponse& response);

  Run& run_;
  EventLog& log_;
  std::uint64_t number_;
  Sequence sequence_;
  std::atomic<std::int64_t> position_;
  std::atomic<std::int64_t> until_ = 0;
  std::atomic<client::Time> deadline_{client::Time::max()};
};

// Drops history that all watchers are through with, now and then.
void run_compactor(Run& run, const std::vector<std::unique_ptr<Watcher>>& watchers);

}  // namespace quorate::faults
