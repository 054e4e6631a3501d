// What a node's state asserts for good: a decision, an entry at an index, who led in a term. Worlds collect
// them, so a property may speak of the past ("two leaders in one term" need not lead at the same time).
#pragma once

#include <string>

#include "core/entry.h"

namespace quorate::explore {

struct Fact {
  std::string key;  // two facts of one key must agree
  std::string value;
  NodeId node;        // part of the value, apart because symmetry renames it
  Epoch epoch;        // of the node that was the first to assert it; not part of the value
  Index index;        // for an entry: where it stands
  Epoch entry_epoch;  // for an entry: its own

  [[nodiscard]] bool agrees(const Fact& other) const { return value == other.value && node == other.node; }
  [[nodiscard]] std::string text() const {
    return key + " is " + (node.none() ? value : "node " + to_string(node));
  }
};

}  // namespace quorate::explore
