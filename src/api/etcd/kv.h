// etcdserverpb.KV.
#pragma once

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

class KvService {
 public:
  explicit KvService(Core& core) : core_(core) {}
  void add_to(Router& router);

 private:
  void range(CallPtr call, const Message& message);
  void range_stream(CallPtr call, const Message& message);
  void put(CallPtr call, Message message);
  void delete_range(CallPtr call, Message message);
  void txn(CallPtr call, Message message);

  Core& core_;
  etcdserverpb::PutRequest put_;  // parsed into over and over, for its buffers
};

// What etcd's server checks of a request before it reaches the log (server/etcdserver/api/v3rpc, key.go).
[[nodiscard]] Status validate(const etcdserverpb::RangeRequest& request);
[[nodiscard]] Status validate(const etcdserverpb::PutRequest& request);
[[nodiscard]] Status validate(const etcdserverpb::DeleteRangeRequest& request);
[[nodiscard]] Status validate(const etcdserverpb::TxnRequest& request, int max_ops);

}  // namespace quorate::api::etcd
