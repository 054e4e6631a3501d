// etcdserverpb.Auth, which can not be switched on yet.
#pragma once

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

void add_auth(Router& router, Core& core);

}  // namespace quorate::api::etcd
