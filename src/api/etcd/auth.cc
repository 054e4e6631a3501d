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

// Not there yet, and said so, instead of a method nobody knows; the JSON gateway has its paths from here,
// too.
template <class Request, class Response>
void add_missing(Router& router, std::string_view name) {
  router.unary<Request, Response>(
      "/etcdserverpb.Auth/" + std::string(name), [](const CallPtr& call, const Message&) {
        call->finish({Code::unimplemented, "quorate: users, roles and authentication are not implemented"});
      });
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
  add_missing<pb::AuthEnableRequest, pb::AuthEnableResponse>(router, "AuthEnable");
  add_missing<pb::AuthUserAddRequest, pb::AuthUserAddResponse>(router, "UserAdd");
  add_missing<pb::AuthUserGetRequest, pb::AuthUserGetResponse>(router, "UserGet");
  add_missing<pb::AuthUserListRequest, pb::AuthUserListResponse>(router, "UserList");
  add_missing<pb::AuthUserDeleteRequest, pb::AuthUserDeleteResponse>(router, "UserDelete");
  add_missing<pb::AuthUserChangePasswordRequest, pb::AuthUserChangePasswordResponse>(router,
                                                                                     "UserChangePassword");
  add_missing<pb::AuthUserGrantRoleRequest, pb::AuthUserGrantRoleResponse>(router, "UserGrantRole");
  add_missing<pb::AuthUserRevokeRoleRequest, pb::AuthUserRevokeRoleResponse>(router, "UserRevokeRole");
  add_missing<pb::AuthRoleAddRequest, pb::AuthRoleAddResponse>(router, "RoleAdd");
  add_missing<pb::AuthRoleGetRequest, pb::AuthRoleGetResponse>(router, "RoleGet");
  add_missing<pb::AuthRoleListRequest, pb::AuthRoleListResponse>(router, "RoleList");
  add_missing<pb::AuthRoleDeleteRequest, pb::AuthRoleDeleteResponse>(router, "RoleDelete");
  add_missing<pb::AuthRoleGrantPermissionRequest, pb::AuthRoleGrantPermissionResponse>(router,
                                                                                       "RoleGrantPermission");
  add_missing<pb::AuthRoleRevokePermissionRequest, pb::AuthRoleRevokePermissionResponse>(
      router, "RoleRevokePermission");
}

}  // namespace quorate::api::etcd
