// What the services of the etcd API share: the node behind them, headers, and the ways of an answer.
#pragma once

#include <random>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <google/protobuf/message_lite.h>

#include "api/etcd/aside.h"
#include "api/etcd/backend.h"
#include "api/etcd/errors.h"
#include "api/etcd/wire.h"
#include "api/http/rpc.h"
#include "api/proto/rpc.pb.h"

namespace quorate::api::etcd {

using http::CallPtr;
using http::Message;

struct Settings {
  std::size_t max_request_bytes = 3U << 19U;             // 1.5 MiB, as etcd
  std::size_t max_unread_bytes = std::size_t{1} << 30U;  // of answers, over all clients (http::Backlog)
  int max_txn_ops = 128;
  std::int64_t min_lease_ttl = 1;       // seconds; etcd's is 1.5 election timeouts, rounded up
  std::size_t max_watchers = 65'536;    // of one stream
  std::size_t max_keep_alives = 4'096;  // of one stream, unanswered
  std::chrono::milliseconds progress_interval{600'000};  // of watchers that asked for progress
  bool gateway = true;
  std::vector<std::string> hosts{};  // see Access
  std::vector<std::string> origins{};
  std::chrono::milliseconds no_leader_timeout{3'000};  // then streams that require a leader are ended
  Aside::Executor elsewhere{};                         // of long work; by default threads of its own
};

class Core {
 public:
  Core(boost::asio::io_context& io, Backend& backend, Settings settings);

  [[nodiscard]] boost::asio::io_context& io() { return *io_; }
  [[nodiscard]] Backend& backend() { return *backend_; }
  [[nodiscard]] models::etcd::EtcdModel& model() { return backend_->model(); }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] Aside& aside() { return aside_; }
  [[nodiscard]] std::uint64_t random() { return random_(); }

  [[nodiscard]] Front front(std::int64_t revision) const;
  void fill(etcdserverpb::ResponseHeader& header, std::int64_t revision) const;
  void fill(etcdserverpb::ResponseHeader& header) { fill(header, model().revision()); }

  // A command through the log; `request` is its protobuf form, already validated. Answers the call.
  void propose(CallPtr call, models::etcd::Op op, Message request);
  void propose(models::etcd::Op op, const google::protobuf::MessageLite& request, replica::Done done);
  // The same for what makes the state larger: refused, and the alarm raised, where there is no room.
  void propose_growth(CallPtr call, models::etcd::Op op, Message request);
  [[nodiscard]] bool has_room(const CallPtr& call, std::uint64_t bytes);
  // Tells all members, through the log, that this one has no space left; once while that is under way.
  void raise_no_space();
  // Runs `read` once the state is as fresh as the call, or answers with what is in the way.
  template <class F>
  void linearizable(CallPtr call, F read) {
    backend_->read(replicated_log::ReadMode::quorum,
                   [call = std::move(call), read = std::move(read)](replica::Outcome<Index> outcome) mutable {
                     if (!outcome) return call->finish(status_of(outcome.error()));
                     if (call->open()) read(call);
                   });
  }

  void answer(http::Call& call, const replica::Outcome<Bytes>& outcome);
  void answer(http::Call& call, models::etcd::Result result);
  void answer(const CallPtr& call, models::etcd::Reading reading);  // at once, or when it has been read
  // `response` whole, its header filled.
  static void reply(http::Call& call, const google::protobuf::MessageLite& response);
  static void send(http::Call& call, const google::protobuf::MessageLite& response);

  struct Counters {
    std::uint64_t proposals_failed = 0;
    std::uint64_t watch_events = 0;
    std::uint64_t watch_streams = 0;  // open now
    std::uint64_t leader_changes = 0;
  };
  Counters counters;

 private:
  boost::asio::io_context* io_;
  Backend* backend_;
  Settings settings_;
  std::mt19937_64 random_;
  bool raising_ = false;
  Aside aside_;
};

// The outcome of a command, decoded; a Status where there is none.
std::expected<models::etcd::Result, Status> decode(const replica::Outcome<Bytes>& outcome);

// Parses, or answers the call with what is wrong.
template <class Request>
bool parse(http::Call& call, const Message& message, Request& request) {
  const auto view = message.view();
  if (request.ParseFromArray(view.data(), static_cast<int>(view.size()))) return true;
  call.finish({Code::internal,
               "grpc: failed to unmarshal the received message: not a valid " + request.GetTypeName()});
  return false;
}

}  // namespace quorate::api::etcd
