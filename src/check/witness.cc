#include "check/witness.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "check/register_spec.h"

namespace quorate::check {

bool witnessed(std::span<const Operation> history) {
  std::vector<const Operation*> order;
  order.reserve(history.size());
  for (const Operation& op : history) {
    if (op.stale_allowed) continue;
    if (!op.returned && (op.index == 0 || op.kind == OpKind::get)) continue;
    order.push_back(&op);
  }
  std::ranges::sort(order, {}, [](const Operation* op) {
    const bool read = op->kind == OpKind::get;
    return std::tuple(op->index, read, read ? op->invoked : op->rank);
  });
  std::unordered_map<std::string_view, RegisterSpec::State> registers;
  std::uint64_t latest = 0;  // invocation of anything so far: nothing that returned before it may follow
  for (const Operation* op : order) {
    if (op->returned && *op->returned < latest) return false;
    latest = std::max(latest, op->invoked);
    RegisterSpec::State& state = registers[op->key];
    auto after = RegisterSpec::step(state, *op);
    if (!after) return false;
    if (op->kind != OpKind::get) state = std::move(*after);
  }
  return true;
}

}  // namespace quorate::check
