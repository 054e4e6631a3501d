#include "check/bounded_staleness.h"

#include <algorithm>
#include <vector>

namespace quorate::check {

Finding check_bounded_staleness(std::span<const Operation> history, std::uint64_t bound) {
  std::vector<const Operation*> writes, reads;
  for (const Operation& op : history) {
    if (op.returned && op.index != 0) (op.kind == OpKind::get ? reads : writes).push_back(&op);
  }
  std::ranges::sort(writes, {}, [](const Operation* op) { return *op->returned; });
  std::ranges::sort(reads, {}, &Operation::invoked);
  const Operation* newest = nullptr;
  std::size_t next = 0;
  for (const Operation* read : reads) {
    for (; next < writes.size() && *writes[next]->returned + bound < read->invoked; ++next) {
      if (newest == nullptr || writes[next]->index > newest->index) newest = writes[next];
    }
    if (newest != nullptr && read->index < newest->index) {
      return {Verdict::violation,
              "stale beyond the bound: " + to_string(*read) + " was answered at index " +
                  std::to_string(read->index) + ", though " + to_string(*newest) + " had written index " +
                  std::to_string(newest->index),
              0};
    }
  }
  return {};
}

}  // namespace quorate::check
