// grpc.health.v1.Health: a member serves while it knows a leader. (/livez and /readyz say more.)
#pragma once

#include <set>

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

class HealthService {
 public:
  explicit HealthService(Core& core) : core_(core) {}
  void add_to(Router& router);
  // Whoever watches is told, if it means something to them.
  void leader_changed();

 private:
  class Watcher;

  Core& core_;
  std::set<Watcher*> watchers_;
};

}  // namespace quorate::api::etcd
