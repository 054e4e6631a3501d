// What clients saw: the input of every consistency check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quorate::check {

enum class OpKind : std::uint8_t { get, put, cas, erase, append };

// One client operation on one key. `invoked` and `returned` are positions in the one order of all invocations
// and returns of the history, all different.
struct Operation {
  std::uint64_t client = 0;
  OpKind kind = OpKind::get;
  std::string key{};
  std::string argument{};                 // put: the value; append: the suffix; cas: the new value
  std::optional<std::string> expected{};  // cas: what must be in place; none: the key must be absent
  std::uint64_t invoked = 0;
  std::optional<std::uint64_t> returned{};  // none: the outcome is unknown, the fields below mean nothing
  std::optional<std::string> observed{};    // get: the value; none: absent
  bool succeeded = true;                    // cas: swapped; erase: the key was there
  std::uint64_t index = 0;                  // the log position of the state that answered; 0: not known
  std::uint64_t rank = 0;                   // of a write among all writes in the order of the log
  bool stale_allowed = false;               // a read that asked for no freshness: no part of linearizability
};

using History = std::vector<Operation>;

// "client 3 put x = 17 [12, 19]", for explanations.
std::string to_string(const Operation& op);

enum class Verdict : std::uint8_t { ok, violation, timeout };

struct Finding {
  Verdict verdict = Verdict::ok;
  std::string explanation;  // of a violation or a time-out
  std::uint64_t steps = 0;  // of search
  [[nodiscard]] bool ok() const { return verdict == Verdict::ok; }
};

}  // namespace quorate::check
