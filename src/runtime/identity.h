// Who a node is, kept in its data directory: node id, cluster, how it came to be, and how often it was
// started. It is checked before anything else is read, so that a data directory never serves under another
// identity.
//
// The file `identity` is text, one `name value` a line, replaced atomically at every start.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/membership.h"
#include "core/node_info.h"
#include "storage/disk.h"

namespace quorate::runtime {

struct Identity {
  NodeId node;
  ClusterId cluster;
  std::string token;              // the cluster's name
  std::uint64_t incarnation = 0;  // greater at every start of the process
  // The cluster removed this node: the data directory is of no more use to it, and the node never starts from
  // it.
  bool removed = false;
  // The cluster's first members, if this node is one of them; empty for one that joined later. They count
  // only until the log says more, and must not change before it does: hence they are kept here.
  std::map<NodeId, NodeInfo> initial;
  friend bool operator==(const Identity&, const Identity&) = default;
};

// Who takes part until the log says more.
[[nodiscard]] Membership first_membership(const Identity& identity);

// Nothing if the node never started; an error if the file is damaged.
[[nodiscard]] std::expected<std::optional<Identity>, std::string> load_identity(storage::Disk& disk);
[[nodiscard]] std::expected<void, std::string> save_identity(storage::Disk& disk, const Identity& identity);

}  // namespace quorate::runtime
