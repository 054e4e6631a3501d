// v3lockpb.Lock and v3electionpb.Election: locks and elections for clients without a concurrency library, out
// of transactions and watches.
//
// Both queue by creation: a contender writes prefix/<lease in hex>, and its turn has come when no key of the
// prefix was created before its own. The keys live as long as their leases. The layout is that of etcd's
// client library, so contenders of both kinds meet.
#pragma once

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

class ConcurrencyService {
 public:
  explicit ConcurrencyService(Core& core) : core_(core) {}
  void add_to(Router& router);

 private:
  void lock(const CallPtr& call, const Message& message);
  void unlock(CallPtr call, const Message& message);
  void campaign(const CallPtr& call, const Message& message);
  void proclaim(CallPtr call, const Message& message);
  void leader(CallPtr call, const Message& message);
  void observe(CallPtr call, const Message& message);
  void resign(CallPtr call, const Message& message);

  Core& core_;
};

}  // namespace quorate::api::etcd
