// State Machine Safety (Raft §5.4.3; agreement of Paxos): no two nodes ever apply different entries at the
// same index. And each node applies its entries in order, each once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "check/fingerprint.h"
#include "core/ids.h"

namespace quorate::check {

class StateMachineSafety {
 public:
  // A node has started, or a snapshot put it to `applied`.
  void position(NodeId node, Index applied) { next_[node] = applied.next(); }

  // `node` tells that the entry with this content is committed at `index`.
  [[nodiscard]] std::optional<std::string> committed(NodeId node, Index index, Fingerprint content);

  [[nodiscard]] Index last() const { return Index(chosen_.size()); }  // highest index anyone saw committed
  [[nodiscard]] bool known(Index index) const {
    return index <= last() && chosen_[index.value - 1].has_value();
  }
  // The chosen content at an index that is known().
  [[nodiscard]] Fingerprint content(Index index) const { return *chosen_[index.value - 1]; }

 private:
  std::vector<std::optional<Fingerprint>> chosen_;  // by index - 1
  std::map<NodeId, Index> next_;
};

}  // namespace quorate::check
