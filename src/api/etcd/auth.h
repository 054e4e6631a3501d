// etcdserverpb.Auth, which can not be switched on yet, and grpc.health.v1.Health.
#pragma once

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

void add_auth(Router& router, Core& core);
void add_health(Router& router, Core& core);

}  // namespace quorate::api::etcd
