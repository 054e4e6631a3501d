// etcdserverpb.Lease.
#pragma once

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

class LeaseService {
 public:
  explicit LeaseService(Core& core) : core_(core) {}
  void add_to(Router& router);

 private:
  void grant(CallPtr call, const Message& message);
  void time_to_live(CallPtr call, const Message& message);

  Core& core_;
};

// A lease id no client has chosen: random, positive.
std::int64_t choose_lease(Core& core);

}  // namespace quorate::api::etcd
