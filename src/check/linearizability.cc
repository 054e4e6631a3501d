#include "check/linearizability.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "core/rng.h"

namespace quorate::check {

namespace search {

namespace {

struct Fingerprint {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
  friend Fingerprint operator^(Fingerprint a, Fingerprint b) { return {a.high ^ b.high, a.low ^ b.low}; }
};
struct FingerprintHash {
  std::size_t operator()(const Fingerprint& f) const noexcept { return f.low; }
};

class Search {
 public:
  Search(std::span<const Interval> ops, const Next& next, std::uint64_t budget)
      : ops_(ops), next_(&next), budget_(budget) {
    lay_out();
    draw_keys();
  }

  Result run() {
    while (left_ != 0) {
      if (++result_.steps > budget_) {
        result_.verdict = Verdict::timeout;
        return std::move(result_);
      }
      if (!advance() && !backtrack()) {
        result_.verdict = Verdict::violation;
        return std::move(result_);
      }
    }
    save_longest();
    return std::move(result_);
  }

 private:
  // A doubly linked list of the calls and returns of completed operations, in order; 0 is its head.
  struct Node {
    std::size_t op = 0;
    std::uint64_t position = 0;
    bool is_return = false;
    std::uint32_t prev = 0;
    std::uint32_t next = 0;
  };
  // Candidates are tried in three rounds: completed operations; those of unknown outcome that let a completed
  // one follow at once; the rest of them. Most are never needed, and this order finds those that are.
  enum class Round : std::uint8_t { completed, useful, rest };
  struct Frame {
    std::size_t op;
    std::uint32_t state;  // before it
    Round round;
    std::size_t pending_at;
  };

  void lay_out() {
    nodes_.push_back({});
    std::vector<Node> events;
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      if (!ops_[i].returned) {
        pending_.push_back(i);
        continue;
      }
      events.push_back({i, ops_[i].invoked, false, 0, 0});
      events.push_back({i, *ops_[i].returned, true, 0, 0});
      ++left_;
    }
    std::ranges::sort(events, {}, &Node::position);
    std::ranges::sort(pending_, {}, [&](std::size_t op) { return ops_[op].invoked; });
    call_.resize(ops_.size());
    return_.resize(ops_.size());
    taken_.resize(ops_.size());
    for (const Node& event : events) {
      const auto id = static_cast<std::uint32_t>(nodes_.size());
      (event.is_return ? return_ : call_)[event.op] = id;
      nodes_.push_back(event);
      nodes_[id].prev = id - 1;
      nodes_[id - 1].next = id;
    }
    nodes_.back().next = 0;
    at_ = nodes_[0].next;
  }

  void draw_keys() {
    Rng rng(0x9d39247e33776d41U);
    keys_.resize(ops_.size());
    for (auto& key : keys_) key = {rng.next(), rng.next()};
  }

  static Fingerprint of_state(std::uint32_t state) {
    std::uint64_t z = (state + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    return {z ^ (z >> 27U), z * 0x94d049bb133111ebU};
  }

  void unlink(std::uint32_t id) {
    nodes_[nodes_[id].prev].next = nodes_[id].next;
    if (nodes_[id].next != 0) nodes_[nodes_[id].next].prev = nodes_[id].prev;
  }
  void relink(std::uint32_t id) {
    nodes_[nodes_[id].prev].next = id;
    if (nodes_[id].next != 0) nodes_[nodes_[id].next].prev = id;
  }

  // Position of the first return among what is left: whatever is invoked behind it can not come next.
  [[nodiscard]] std::uint64_t horizon() const {
    std::uint32_t id = nodes_[0].next;
    while (id != 0 && !nodes_[id].is_return) id = nodes_[id].next;
    return id == 0 ? UINT64_MAX : nodes_[id].position;
  }

  [[nodiscard]] bool lets_one_follow(std::uint32_t state) const {
    for (std::uint32_t id = nodes_[0].next; id != 0 && !nodes_[id].is_return; id = nodes_[id].next) {
      if ((*next_)(state, nodes_[id].op) != impossible) return true;
    }
    return false;
  }

  // Linearizes the next candidate that leads somewhere new; false when there is none.
  bool advance() {
    if (round_ == Round::completed) {
      for (; at_ != 0 && !nodes_[at_].is_return; at_ = nodes_[at_].next) {
        if (take(nodes_[at_].op, 0)) return true;
      }
      round_ = Round::useful;
      pending_at_ = 0;
    }
    const std::uint64_t until = horizon();
    for (;; ++pending_at_) {
      if (pending_at_ == pending_.size() || ops_[pending_[pending_at_]].invoked > until) {
        if (round_ == Round::rest) return false;
        round_ = Round::rest;
        pending_at_ = 0;
        if (pending_.empty() || ops_[pending_[0]].invoked > until) return false;
      }
      const std::size_t op = pending_[pending_at_];
      if (taken_[op]) continue;
      const std::uint32_t after = (*next_)(state_, op);
      if (after == impossible || after == state_) continue;  // without effect it is as if it never happened
      if (round_ == Round::useful && !lets_one_follow(after)) continue;
      if (take(op, pending_at_)) return true;
    }
  }

  bool take(std::size_t op, std::size_t pending_at) {
    const std::uint32_t after = (*next_)(state_, op);
    if (after == impossible) return false;
    if (!visited_.insert(set_ ^ keys_[op] ^ of_state(after)).second) return false;
    set_ = set_ ^ keys_[op];
    stack_.push_back({op, state_, round_, pending_at});
    taken_[op] = true;
    state_ = after;
    if (ops_[op].returned) {
      unlink(call_[op]);
      unlink(return_[op]);
      --left_;
      if (++completed_ > best_) {
        best_ = completed_;
        save_longest();
      }
    }
    round_ = Round::completed;
    at_ = nodes_[0].next;
    return true;
  }

  bool backtrack() {
    if (stack_.empty()) return false;
    const Frame frame = stack_.back();
    stack_.pop_back();
    taken_[frame.op] = false;
    set_ = set_ ^ keys_[frame.op];
    state_ = frame.state;
    round_ = frame.round;
    if (ops_[frame.op].returned) {
      relink(return_[frame.op]);
      relink(call_[frame.op]);
      ++left_;
      --completed_;
      at_ = nodes_[call_[frame.op]].next;
    } else {
      pending_at_ = frame.pending_at + 1;
    }
    return true;
  }

  void save_longest() {
    result_.longest.clear();
    for (const Frame& frame : stack_) result_.longest.push_back(frame.op);
  }

  std::span<const Interval> ops_;
  const Next* next_;
  std::uint64_t budget_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> call_, return_;
  std::vector<std::size_t> pending_;
  std::vector<bool> taken_;
  std::vector<Fingerprint> keys_;
  std::unordered_set<Fingerprint, FingerprintHash> visited_;
  std::vector<Frame> stack_;
  Fingerprint set_;
  std::uint32_t state_ = 0;
  std::uint32_t at_ = 0;
  std::size_t pending_at_ = 0;
  Round round_ = Round::completed;
  std::size_t left_ = 0;  // completed operations not linearized
  std::size_t completed_ = 0;
  std::size_t best_ = 0;
  Result result_;
};

}  // namespace

Result linearize(std::span<const Interval> ops, const Next& next, std::uint64_t budget) {
  return Search(ops, next, budget).run();
}

}  // namespace search

namespace {

std::string explain(const std::string& key, std::span<const Operation* const> ops,
                    const search::Result& result) {
  std::string out =
      result.verdict == Verdict::timeout ? "search for a linearization of key " : "no linearization of key ";
  out += key;
  if (result.verdict == Verdict::timeout) out += " gave up after " + std::to_string(result.steps) + " steps";
  out += "; longest one has " + std::to_string(result.longest.size()) + " of " + std::to_string(ops.size()) +
         " operations";
  constexpr std::size_t shown = 6;
  const std::size_t first = result.longest.size() > shown ? result.longest.size() - shown : 0;
  out += first != 0 ? ", ending" : ":";
  std::vector<bool> taken(ops.size());
  for (std::size_t i = 0; i < result.longest.size(); ++i) {
    taken[result.longest[i]] = true;
    if (i >= first) out += "\n  " + to_string(*ops[result.longest[i]]);
  }
  std::uint64_t horizon = UINT64_MAX;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!taken[i] && ops[i]->returned) horizon = std::min(horizon, *ops[i]->returned);
  }
  out += "\nnone of these can follow:";
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!taken[i] && ops[i]->returned && ops[i]->invoked <= horizon) out += "\n  " + to_string(*ops[i]);
  }
  return out;
}

Finding check_key(const std::string& key, std::span<const Operation* const> ops, std::uint64_t budget) {
  std::vector<search::Interval> intervals;
  intervals.reserve(ops.size());
  for (const Operation* op : ops) intervals.push_back({op->invoked, op->returned});
  search::Numbered<RegisterSpec> states(ops);
  auto result = search::linearize(intervals, std::ref(states), budget);
  Finding finding{result.verdict, {}, result.steps};
  if (!finding.ok()) finding.explanation = explain(key, ops, result);
  return finding;
}

}  // namespace

Finding check_linearizable(std::span<const Operation> history, std::uint64_t budget) {
  std::map<std::string, std::vector<const Operation*>> by_key;
  for (const Operation& op : history) {
    if (op.stale_allowed || (op.kind == OpKind::get && !op.returned)) continue;
    by_key[op.key].push_back(&op);
  }
  Finding all;
  for (const auto& [key, ops] : by_key) {
    Finding one = check_key(key, ops, budget);
    all.steps += one.steps;
    if (one.ok() || all.verdict == Verdict::violation) continue;
    all.verdict = one.verdict;
    all.explanation = std::move(one.explanation);
  }
  return all;
}

}  // namespace quorate::check
