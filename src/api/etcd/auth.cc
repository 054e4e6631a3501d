#include "api/etcd/auth.h"

namespace quorate::api::etcd {

namespace pb = etcdserverpb;

namespace {

// What etcd answers while authentication is off. Clients with a password configured go on without a token.
template <class Request, class Response>
void add_disabled(Router& router, std::string_view name) {
  router.unary<Request, Response>(
      "/etcdserverpb.Auth/" + std::string(name),
      [](const CallPtr& call, const Message&) { call->finish(fault::auth_not_enabled); });
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

}  // namespace quorate::api::etcd
