#include "models/etcd/nodes.h"

#include <utility>

#include "core/codec.h"
#include "models/etcd/tables.h"

namespace quorate::models::etcd {

namespace {

std::string row_of(NodeId node) {
  std::string row(node_prefix);
  append_u64(row, node.value);
  return row;
}

std::string element(NodeId node, const NodeInfo& info) {
  return kind::node + row_of(node) + codec::encode(info).str();
}

}  // namespace

void Nodes::load(const storage::Reader& reader) {
  all_.clear();
  const auto cursor = reader.cursor(table::meta);
  for (cursor->seek(node_prefix); cursor->valid() && cursor->key().starts_with(node_prefix); cursor->next()) {
    const auto info = codec::decode<NodeInfo>(Bytes::copy(cursor->value()));
    if (info) all_.emplace(NodeId(read_u64(cursor->key().substr(node_prefix.size()))), *info);
  }
}

void Nodes::publish(const Publish& told, State& state, storage::Transaction& txn) {
  const auto it = all_.find(told.node);
  if (it != all_.end()) state.live.remove(element(told.node, it->second));
  state.live.add(element(told.node, told.info));
  all_.insert_or_assign(told.node, told.info);
  txn.put(table::meta, row_of(told.node), codec::encode(told.info).str());
}

void Nodes::forget(State& state, storage::Transaction& txn) {
  for (const auto& [node, info] : std::exchange(all_, {})) {
    state.live.remove(element(node, info));
    txn.erase(table::meta, row_of(node));
  }
}

}  // namespace quorate::models::etcd
