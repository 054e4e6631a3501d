#include "api/etcd/health.h"

#include <vector>

#include "api/proto/health.pb.h"

namespace quorate::api::etcd {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

namespace {

bool known(const std::string& service) { return service.empty() || service.starts_with("etcdserverpb."); }

HealthCheckResponse::ServingStatus state(Core& core) {
  return core.backend().head().leader.none() ? HealthCheckResponse::NOT_SERVING
                                             : HealthCheckResponse::SERVING;
}

}  // namespace

// One Watch call: the state when it began, then each that differs from the one told last.
class HealthService::Watcher final : public http::CallStream {
 public:
  Watcher(HealthService& service, http::Call& call) : service_(service), call_(call) {
    service_.watchers_.insert(this);
  }
  ~Watcher() override { service_.watchers_.erase(this); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void tell(HealthCheckResponse::ServingStatus status) {
    if (!call_.has_room() || std::exchange(told_, status) == status) return;
    HealthCheckResponse response;
    response.set_status(status);
    Core::send(call_, response);
  }
  void writable() override { tell(state(service_.core_)); }  // what it had no room for

 private:
  HealthService& service_;
  http::Call& call_;
  HealthCheckResponse::ServingStatus told_ = HealthCheckResponse::UNKNOWN;
};

void HealthService::add_to(Router& router) {
  router.unary<HealthCheckRequest, HealthCheckResponse>(
      "/grpc.health.v1.Health/Check", [this](const CallPtr& call, const Message& message) {
        HealthCheckRequest request;
        if (!parse(*call, message, request)) return;
        if (!known(request.service())) return call->finish({Code::not_found, "unknown service"});
        HealthCheckResponse response;
        response.set_status(state(core_));
        Core::reply(*call, response);
      });
  router.server_stream<HealthCheckRequest, HealthCheckResponse>(
      "/grpc.health.v1.Health/Watch", [this](const CallPtr& call, const Message& message) {
        HealthCheckRequest request;
        if (!parse(*call, message, request)) return;
        if (!known(request.service())) {  // may become known: the call stays open
          HealthCheckResponse response;
          response.set_status(HealthCheckResponse::SERVICE_UNKNOWN);
          return Core::send(*call, response);
        }
        auto watcher = std::make_unique<Watcher>(*this, *call);
        Watcher& started = *watcher;
        call->attach(std::move(watcher));
        started.tell(state(core_));
      });
}

void HealthService::leader_changed() {
  const std::vector<Watcher*> watchers(watchers_.begin(), watchers_.end());
  for (auto* watcher : watchers) watcher->tell(state(core_));
}

}  // namespace quorate::api::etcd
