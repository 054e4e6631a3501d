#include "check/session.h"

#include <algorithm>
#include <map>
#include <vector>

namespace quorate::check {

namespace {

// Walks each client's operations in its own order. `counts` says which of them raise the bar for later reads.
template <class Counts>
Finding check_reads(std::span<const Operation> history, const char* what, Counts counts) {
  std::map<std::uint64_t, std::vector<const Operation*>> by_client;
  for (const Operation& op : history) {
    if (op.returned && op.index != 0) by_client[op.client].push_back(&op);
  }
  for (auto& [client, ops] : by_client) {
    std::ranges::sort(ops, {}, &Operation::invoked);
    const Operation* bar = nullptr;
    for (const Operation* op : ops) {
      if (op->kind == OpKind::get && bar != nullptr && op->index < bar->index) {
        return {Verdict::violation,
                std::string(what) + ": " + to_string(*op) + " was answered at index " +
                    std::to_string(op->index) + ", behind " + to_string(*bar) + " at index " +
                    std::to_string(bar->index),
                0};
      }
      if (counts(*op) && (bar == nullptr || op->index > bar->index)) bar = op;
    }
  }
  return {};
}

}  // namespace

Finding check_monotonic_reads(std::span<const Operation> history) {
  return check_reads(history, "reads are not monotonic",
                     [](const Operation& op) { return op.kind == OpKind::get; });
}

Finding check_read_your_writes(std::span<const Operation> history) {
  return check_reads(history, "a client does not read its own write",
                     [](const Operation& op) { return op.kind != OpKind::get; });
}

}  // namespace quorate::check
