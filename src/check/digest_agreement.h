// Replicas that applied the same commands hold the same state: equal digests at equal applied indexes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"

namespace quorate::check {

class DigestAgreement {
 public:
  [[nodiscard]] std::optional<std::string> state(NodeId node, Index applied, const Bytes& digest) {
    if (applied.value >= seen_.size()) seen_.resize(applied.value + 1);
    auto& [first, known] = seen_[applied.value];
    if (first.none()) {
      first = node;
      known = digest;
    } else if (known != digest) {
      return "nodes " + to_string(first) + " and " + to_string(node) + " differ in state at index " +
             to_string(applied);
    }
    return std::nullopt;
  }

 private:
  std::vector<std::pair<NodeId, Bytes>> seen_;  // by applied index
};

}  // namespace quorate::check
