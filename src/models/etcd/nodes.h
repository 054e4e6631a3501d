// What nodes told of themselves when they started: names and addresses. Part of the state.
#pragma once

#include <map>

#include "core/ids.h"
#include "core/node_info.h"
#include "models/etcd/etcd_model.h"
#include "models/etcd/store.h"

namespace quorate::models::etcd {

class Nodes {
 public:
  void load(const storage::Reader& reader);
  void publish(const Publish& told, State& state, storage::Transaction& txn);
  void forget(State& state, storage::Transaction& txn);  // all of them

  [[nodiscard]] const std::map<NodeId, NodeInfo>& all() const { return all_; }

 private:
  std::map<NodeId, NodeInfo> all_;
};

}  // namespace quorate::models::etcd
