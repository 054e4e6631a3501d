#include "api/etcd/small_services.h"

#include "api/proto/health.pb.h"

namespace quorate::api::etcd {

namespace pb = etcdserverpb;
namespace health_pb = grpc::health::v1;

namespace {

// What etcd answers while authentication is off. Clients with a password configured go on without a token.
template <class Request, class Response>
void add_disabled(Router& router, std::string_view name) {
  router.unary<Request, Response>(
      "/etcdserverpb.Auth/" + std::string(name),
      [](const CallPtr& call, const Message&) { call->finish(fault::auth_not_enabled); });
}

health_pb::HealthCheckResponse health(Core& core) {
  health_pb::HealthCheckResponse response;
  response.set_status(core.backend().head().leader.none() ? health_pb::HealthCheckResponse::NOT_SERVING
                                                          : health_pb::HealthCheckResponse::SERVING);
  return response;
}

}  // namespace

void add_auth(Router& router, Core& core) {
  router.unary<pb::AuthStatusRequest, pb::AuthStatusResponse>("/etcdserverpb.Auth/AuthStatus",
                                                              [&core](const CallPtr& call, const Message&) {
                                                                pb::AuthStatusResponse response;
                                                                core.fill(*response.mutable_header());
                                                                Core::reply(*call, response);
                                                              });
  router.unary<pb::AuthDisableRequest, pb::AuthDisableResponse>("/etcdserverpb.Auth/AuthDisable",
                                                                [&core](const CallPtr& call, const Message&) {
                                                                  pb::AuthDisableResponse response;
                                                                  core.fill(*response.mutable_header());
                                                                  Core::reply(*call, response);
                                                                });
  add_disabled<pb::AuthenticateRequest, pb::AuthenticateResponse>(router, "Authenticate");
}

void add_health(Router& router, Core& core) {
  const auto known = [](const CallPtr& call, const Message& message) {
    health_pb::HealthCheckRequest request;
    if (!parse(*call, message, request)) return false;
    if (request.service().empty() || request.service().starts_with("etcdserverpb.")) return true;
    call->finish({Code::not_found, "unknown service"});
    return false;
  };
  router.unary<health_pb::HealthCheckRequest, health_pb::HealthCheckResponse>(
      "/grpc.health.v1.Health/Check", [&core, known](const CallPtr& call, const Message& message) {
        if (known(call, message)) Core::reply(*call, health(core));
      });
}

}  // namespace quorate::api::etcd
