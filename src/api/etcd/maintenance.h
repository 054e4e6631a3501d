// etcdserverpb.Maintenance.
#pragma once

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

// The versions told to clients. Kubernetes asks for watch progress only from 3.5.13 on.
inline constexpr const char* server_version = "3.5.17";
inline constexpr const char* cluster_version = "3.5.0";

class MaintenanceService {
 public:
  explicit MaintenanceService(Core& core) : core_(core) {}
  void add_to(Router& router);

 private:
  void hash(http::Call& call);
  void status(CallPtr call);
  void move_leader(CallPtr call, const Message& message);
  void downgrade(CallPtr call, const Message& message);

  Core& core_;
};

}  // namespace quorate::api::etcd
