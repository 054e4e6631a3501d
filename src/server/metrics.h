// What /metrics tells of the node itself: its log, its links, its keyspaces. Names are etcd's where it has
// one.
#pragma once

#include <string>

#include "runtime/node.h"

namespace quorate::server {

void write_node_metrics(std::string& out, const runtime::Node& node, const runtime::Keyspace& keyspace);

}  // namespace quorate::server
