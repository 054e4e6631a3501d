// Linearizability (Herlihy, Wing 1990): is there an order of the operations that respects real time and that
// one copy of the data could have given?
//
// The search is Wing and Gong's (1993) with Lowe's memoisation (2017): a depth-first walk that linearizes any
// operation that could come next, and never visits the same (set of linearized operations, state) twice.
// Visited pairs are kept as 128-bit fingerprints: with 10^7 pairs the chance of a wrong answer is below
// 10^-24. An operation of unknown outcome may take effect at any later time, or never.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "check/history.h"
#include "check/register_spec.h"

namespace quorate::check {

inline constexpr std::uint64_t default_step_budget = 20'000'000;

// Checks every key on its own: linearizability is local (Herlihy, Wing §3.3). Reads with `stale_allowed` are
// left out. The budget bounds the search steps of each key, so the verdict does not depend on the machine.
[[nodiscard]] Finding check_linearizable(std::span<const Operation> history,
                                         std::uint64_t budget = default_step_budget);

namespace search {

struct Interval {
  std::uint64_t invoked = 0;
  std::optional<std::uint64_t> returned;
};

inline constexpr std::uint32_t impossible = UINT32_MAX;

struct Result {
  Verdict verdict = Verdict::ok;
  std::vector<std::size_t> longest;  // the linearization found, or the longest that was
  std::uint64_t steps = 0;
};

// `next(state, op)` is the state behind `op`, or `impossible`; states are numbers, the initial one is 0.
using Next = std::function<std::uint32_t(std::uint32_t state, std::size_t op)>;
Result linearize(std::span<const Interval> ops, const Next& next, std::uint64_t budget);

// Numbers the states of a specification as they turn up, and remembers transitions.
template <class Spec, class Hash = std::hash<typename Spec::State>>
class Numbered {
 public:
  explicit Numbered(std::span<const typename Spec::Op* const> ops) : ops_(ops) { number(Spec::initial()); }

  std::uint32_t operator()(std::uint32_t state, std::size_t op) {
    const std::uint64_t edge = static_cast<std::uint64_t>(state) * ops_.size() + op;
    auto [known, fresh] = edges_.try_emplace(edge, impossible);
    if (!fresh) return known->second;
    auto after = Spec::step(*states_[state], *ops_[op]);
    const std::uint32_t id = after ? number(std::move(*after)) : impossible;
    edges_[edge] = id;
    return id;
  }
  const typename Spec::State& state(std::uint32_t id) const { return *states_[id]; }

 private:
  std::uint32_t number(typename Spec::State state) {
    auto [at, fresh] = ids_.try_emplace(std::move(state), static_cast<std::uint32_t>(states_.size()));
    if (fresh) states_.push_back(&at->first);  // keys of an unordered_map do not move
    return at->second;
  }

  std::span<const typename Spec::Op* const> ops_;
  std::unordered_map<typename Spec::State, std::uint32_t, Hash> ids_;
  std::vector<const typename Spec::State*> states_;
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
};

}  // namespace search
}  // namespace quorate::check
