#include "api/etcd/etcd_api.h"

#include <algorithm>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "api/etcd/access.h"
#include "api/etcd/auth.h"
#include "api/etcd/cluster.h"
#include "api/etcd/concurrency.h"
#include "api/etcd/gateway.h"
#include "api/etcd/health.h"
#include "api/etcd/kv.h"
#include "api/etcd/lease.h"
#include "api/etcd/maintenance.h"
#include "api/etcd/metrics.h"
#include "api/etcd/pages.h"
#include "api/etcd/watch.h"
#include "api/http/grpc.h"

namespace quorate::api::etcd {

namespace {

// What listens for metrics alone: no keys to be had there.
class PagesAlone final : public http::Handler {
 public:
  explicit PagesAlone(Pages& pages) : pages_(pages) {}
  void handle(http::Exchange& exchange) override {
    if (!pages_.serve(exchange))
      answer_text(exchange, 404, "text/plain; charset=utf-8", "404 page not found\n");
  }

 private:
  Pages& pages_;
};

}  // namespace

class EtcdApi::Dispatcher final : public http::Handler, public http::CallHost {
 public:
  Dispatcher(boost::asio::io_context& io, Backend& backend, Settings settings)
      : core(io, backend, settings),
        kv_(core),
        watch_(core),
        lease_(core),
        cluster_(core),
        maintenance_(core),
        concurrency_(core),
        health_(core),
        router_(make_router()),
        gateway_(router_, core.aside()),
        access_(settings.hosts, settings.origins),
        pages_(core, router_, metrics_, traffic),
        timer_(io) {
    backlog->limit = settings.max_unread_bytes;
    max_message = settings.max_request_bytes + (512U << 10U);
    metrics_.resize(router_.endpoints().size());
  }

  void handle(http::Exchange& exchange) override {
    const auto type = exchange.header("content-type");
    if (http::grpc::is_grpc(type)) return handle_grpc(exchange);
    if (access_.answered(exchange)) return;
    const auto path = exchange.path();
    if (const Endpoint* endpoint = core.settings().gateway ? gateway_.find(path) : nullptr) {
      if (exchange.method() != "POST")
        return answer_text(exchange, 405, "text/plain", "Method Not Allowed\n");
      return gateway_.serve(exchange, *this, *endpoint);
    }
    if (router_.find(path) != nullptr) {
      return answer_text(exchange, 415, "text/plain", "the content type must be application/grpc\n");
    }
    if (!pages_.serve(exchange))
      answer_text(exchange, 404, "text/plain; charset=utf-8", "404 page not found\n");
  }

  bool speaks_websocket(const http::Exchange& exchange) override {
    return core.settings().gateway && gateway_.find(exchange.path()) != nullptr &&
           access_.allows_websocket(exchange);
  }

  Status admit(const http::Call& call) override {
    if (stopped_) return fault::stopped;
    const auto& method = call.method();
    const bool streams = method.client_streams || method.server_streams;
    const auto head = core.backend().head();
    if (!valid_version(call.header("client-api-version"))) return fault::invalid_client_api_version;
    if (head.learner && !served_by_learners(method)) return fault::not_for_learners;
    if (requires_leader(call) && head.leader.none()) return fault::no_leader;
    if (streams) keep(call);
    return {};
  }
  void started(const http::Method& method) override { metrics_.started(method); }
  void handled(const http::Method& method, Code code, http::Clock::duration took) override {
    metrics_.handled(method, code, took);
  }

  void stop() {
    stopped_ = true;
    timer_.cancel();
    for (const auto& call : std::exchange(streams_, {})) call->finish(fault::stopped);
  }

  void leader_changed() {
    ++core.counters.leader_changes;
    health_.leader_changed();
  }

  http::Handler& pages() { return pages_alone_; }

  Core core;

 private:
  Router make_router() {
    Router router;
    kv_.add_to(router);
    watch_.add_to(router);
    lease_.add_to(router);
    cluster_.add_to(router);
    maintenance_.add_to(router);
    concurrency_.add_to(router);
    add_auth(router, core);
    health_.add_to(router);
    return router;
  }

  void handle_grpc(http::Exchange& exchange) {
    if (exchange.version() != http::Version::http2) {
      return answer_text(exchange, 505, "text/plain", "gRPC needs HTTP/2\n");
    }
    if (exchange.method() != "POST") return answer_text(exchange, 405, "text/plain", "gRPC needs POST\n");
    if (const Endpoint* endpoint = router_.find(exchange.path())) {
      return http::grpc::serve(exchange, *this, endpoint->method);
    }
    http::grpc::refuse(exchange, {Code::unimplemented, "unknown method " + std::string(exchange.path())});
  }

  // What it may say is not used; metadata is printable (grpc/grpc, doc/PROTOCOL-HTTP2.md).
  static bool valid_version(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7E; });
  }

  static bool requires_leader(const http::Call& call) { return call.header("hasleader") == "true"; }

  // Range checks for itself whether it is serializable.
  static bool served_by_learners(const http::Method& method) {
    return method.path == "/etcdserverpb.KV/Range" ||
           method.path.starts_with("/etcdserverpb.Maintenance/S") ||
           method.path == "/etcdserverpb.Cluster/MemberList" || method.path.starts_with("/grpc.health");
  }

  void keep(const http::Call& call) {
    if (streams_.size() >= sweep_at_) {
      std::erase_if(streams_, [](const CallPtr& each) { return !each->open(); });
      sweep_at_ = std::max<std::size_t>(64, 2 * streams_.size());
    }
    streams_.emplace_back(const_cast<http::Call*>(&call));
    if (requires_leader(call)) watch_leader();
  }

  // Streams whose clients want a leader end when there has been none for a while: the client then tries
  // another member, which may be on the right side of a partition.
  void watch_leader() {
    if (std::exchange(watching_leader_, true)) return;
    last_leader_ = http::Clock::now();
    arm_leader_timer();
  }
  void arm_leader_timer() {
    timer_.expires_after(core.settings().no_leader_timeout / 6);
    timer_.async_wait([this](const auto& cancelled) {
      if (!cancelled) check_leader();
    });
  }
  void check_leader() {
    const auto now = http::Clock::now();
    if (!core.backend().head().leader.none()) last_leader_ = now;
    const bool lost = now - last_leader_ >= core.settings().no_leader_timeout;
    bool any = false;
    const auto streams = streams_;
    for (const auto& call : streams) {
      if (!call->open() || !requires_leader(*call)) continue;
      any = true;
      if (lost) call->finish(fault::no_leader);
    }
    if (any && !lost) return arm_leader_timer();
    watching_leader_ = false;
  }

  KvService kv_;
  WatchService watch_;
  LeaseService lease_;
  ClusterService cluster_;
  MaintenanceService maintenance_;
  ConcurrencyService concurrency_;
  HealthService health_;
  CallMetrics metrics_;
  Router router_;
  Gateway gateway_;
  Access access_;
  Pages pages_;
  PagesAlone pages_alone_{pages_};
  boost::asio::steady_timer timer_;
  std::vector<CallPtr> streams_;  // that were open when last looked at
  std::size_t sweep_at_ = 64;
  http::Clock::time_point last_leader_;
  bool watching_leader_ = false;
  bool stopped_ = false;
};

EtcdApi::EtcdApi(boost::asio::io_context& io, Backend& backend, Settings settings)
    : dispatcher_(std::make_unique<Dispatcher>(io, backend, settings)) {}
EtcdApi::~EtcdApi() { stop(); }
http::Handler& EtcdApi::handler() { return *dispatcher_; }
http::Handler& EtcdApi::pages() { return dispatcher_->pages(); }
void EtcdApi::stop() { dispatcher_->stop(); }
void EtcdApi::raise_no_space() { dispatcher_->core.raise_no_space(); }
void EtcdApi::leader_changed() { dispatcher_->leader_changed(); }

}  // namespace quorate::api::etcd
