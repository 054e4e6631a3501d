// Election Safety (Raft §5.2): at most one leader in an epoch.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "core/ids.h"

namespace quorate::check {

class ElectionSafety {
 public:
  // `node` considers itself the leader of `epoch`.
  [[nodiscard]] std::optional<std::string> leads(NodeId node, Epoch epoch) {
    const auto [leader, first] = leader_.try_emplace(epoch, node);
    if (leader->second == node) return std::nullopt;
    return "nodes " + to_string(leader->second) + " and " + to_string(node) + " both lead epoch " +
           to_string(epoch);
  }
  [[nodiscard]] std::size_t epochs() const { return leader_.size(); }

 private:
  std::unordered_map<Epoch, NodeId> leader_;
};

}  // namespace quorate::check
