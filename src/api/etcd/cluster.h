// etcdserverpb.Cluster: members, their addresses and roles.
//
// A member is a node of the keyspace's membership. What etcd knows of it beside its id comes from two places:
// the peer URLs from the membership itself (the node's NodeInfo in Member::context), name and client URLs
// from what the node published when it started.
#pragma once

#include <vector>

#include "api/etcd/core.h"
#include "api/etcd/router.h"

namespace quorate::api::etcd {

class ClusterService {
 public:
  explicit ClusterService(Core& core) : core_(core) {}
  void add_to(Router& router);

 private:
  using Members = std::vector<quorate::Member>;
  void list(CallPtr call, const Message& message);
  void add(CallPtr call, const Message& message);
  void remove(CallPtr call, const Message& message);
  void update(CallPtr call, const Message& message);
  void promote(CallPtr call, const Message& message);
  // The same by what this node knows now.
  void add_now(CallPtr call, const etcdserverpb::MemberAddRequest& request);
  void remove_now(CallPtr call, const etcdserverpb::MemberRemoveRequest& request);
  void update_now(CallPtr call, const etcdserverpb::MemberUpdateRequest& request);
  void promote_now(CallPtr call, const etcdserverpb::MemberPromoteRequest& request);

  [[nodiscard]] etcdserverpb::Member describe(const quorate::Member& member);
  [[nodiscard]] NodeId choose_id(const std::vector<std::string>& urls, const Members& taken);
  template <class Change>
  void by_the_latest(CallPtr call, Change change);
  // Moves from `base` to `members`; answers with `response` and, in it, the members.
  template <class Response>
  void change(CallPtr call, Members base, Members members, Response response);

  Core& core_;
};

}  // namespace quorate::api::etcd
