// The sequential specification of one register with get, put, compare-and-swap, erase and append.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "check/history.h"

namespace quorate::check {

struct RegisterSpec {
  using State = std::optional<std::string>;  // none: absent
  using Op = Operation;
  static State initial() { return std::nullopt; }

  // The state behind `op`, or none if its recorded result can not come from `state`.
  static std::optional<State> step(const State& state, const Op& op) {
    const bool known = op.returned.has_value();
    switch (op.kind) {
      case OpKind::get:
        if (known && op.observed != state) return std::nullopt;
        return state;
      case OpKind::put: return State(op.argument);
      case OpKind::cas:
        if (known && op.succeeded != (state == op.expected)) return std::nullopt;
        return state == op.expected ? State(op.argument) : state;
      case OpKind::erase:
        if (known && op.succeeded != state.has_value()) return std::nullopt;
        return State(std::nullopt);
      case OpKind::append: return State(state.value_or("") + op.argument);
    }
    return std::nullopt;
  }
};

}  // namespace quorate::check
