#include "check/history.h"

namespace quorate::check {

namespace {

std::string shown(const std::optional<std::string>& value) {
  if (!value) return "(absent)";
  constexpr std::size_t longest = 60;
  if (value->size() <= longest) return *value;
  return value->substr(0, 20) + "…" + value->substr(value->size() - 30) + " (" +
         std::to_string(value->size()) + " B)";
}

std::string call(const Operation& op) {
  switch (op.kind) {
    case OpKind::get: return "get " + op.key;
    case OpKind::put: return "put " + op.key + " = " + shown(op.argument);
    case OpKind::cas: return "cas " + op.key + " " + shown(op.expected) + " -> " + shown(op.argument);
    case OpKind::erase: return "erase " + op.key;
    case OpKind::append: return "append " + op.key + " += " + shown(op.argument);
  }
  return "?";
}

}  // namespace

std::string to_string(const Operation& op) {
  std::string out = "client " + std::to_string(op.client) + " " + call(op);
  if (!op.returned) return out + " outcome unknown [" + std::to_string(op.invoked) + ", )";
  if (op.kind == OpKind::get) out += " gave " + shown(op.observed);
  if (op.kind == OpKind::cas || op.kind == OpKind::erase) out += op.succeeded ? " done" : " refused";
  return out + " [" + std::to_string(op.invoked) + ", " + std::to_string(*op.returned) + "]";
}

}  // namespace quorate::check
