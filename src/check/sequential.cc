#include "check/sequential.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check/register_spec.h"

namespace quorate::check {

namespace {

using Store = std::map<std::string, std::string>;

class SequentialSearch {
 public:
  SequentialSearch(std::span<const Operation> history, std::uint64_t budget) : budget_(budget) {
    std::map<std::uint64_t, std::vector<const Operation*>> by_client;
    for (const Operation& op : history) by_client[op.client].push_back(&op);
    for (auto& [client, ops] : by_client) {
      std::ranges::sort(ops, {}, &Operation::invoked);
      programs_.push_back({});
      for (const Operation* op : ops) {
        // It follows what its client did before, and nothing waits for it: a program of its own that
        // starts once `after` operations of the client's are done.
        if (!op->returned) {
          loose_.push_back({op, programs_.size() - 1, programs_.back().size()});
        } else {
          programs_.back().push_back(op);
        }
      }
    }
    done_.resize(programs_.size());
    used_.resize(loose_.size());
  }

  Finding run() {
    Finding finding;
    const bool found = visit();
    finding.steps = steps_;
    if (found) return finding;
    finding.verdict = steps_ > budget_ ? Verdict::timeout : Verdict::violation;
    finding.explanation = finding.verdict == Verdict::timeout
                              ? "search for a sequential order gave up"
                              : "no sequential order; the longest ends before:";
    for (std::size_t i = 0; i < best_.size(); ++i) {
      if (best_[i] < programs_[i].size()) finding.explanation += "\n  " + to_string(*programs_[i][best_[i]]);
    }
    return finding;
  }

 private:
  struct Loose {
    const Operation* op;
    std::size_t program;
    std::size_t after;
  };

  bool visit() {
    if (std::ranges::equal(done_, programs_, {}, {}, &std::vector<const Operation*>::size)) return true;
    if (++steps_ > budget_ || !visited_.emplace(done_, used_, store_).second) return false;
    if (const auto total = sum(done_); best_.empty() || total > sum(best_)) best_ = done_;
    for (std::size_t i = 0; i < programs_.size(); ++i) {
      if (done_[i] == programs_[i].size()) continue;
      const Operation& op = *programs_[i][done_[i]];
      ++done_[i];
      if (apply_and_visit(op)) return true;
      --done_[i];
    }
    for (std::size_t i = 0; i < loose_.size(); ++i) {
      if (used_[i] || done_[loose_[i].program] < loose_[i].after) continue;
      used_[i] = true;
      if (apply_and_visit(*loose_[i].op)) return true;
      used_[i] = false;
    }
    return false;
  }

  bool apply_and_visit(const Operation& op) {
    const auto at = store_.find(op.key);
    const RegisterSpec::State before = at == store_.end() ? RegisterSpec::State() : at->second;
    const auto after = RegisterSpec::step(before, op);
    if (!after) return false;
    set(op.key, *after);
    if (visit()) return true;
    set(op.key, before);
    return false;
  }

  void set(const std::string& key, const RegisterSpec::State& value) {
    if (value) {
      store_[key] = *value;
    } else {
      store_.erase(key);
    }
  }

  static std::size_t sum(const std::vector<std::size_t>& counts) {
    std::size_t total = 0;
    for (const std::size_t count : counts) total += count;
    return total;
  }

  std::uint64_t budget_;
  std::vector<std::vector<const Operation*>> programs_;
  std::vector<Loose> loose_;
  std::vector<std::size_t> done_;
  std::vector<std::size_t> best_;
  std::vector<bool> used_;
  Store store_;
  std::set<std::tuple<std::vector<std::size_t>, std::vector<bool>, Store>> visited_;
  std::uint64_t steps_ = 0;
};

}  // namespace

Finding check_sequential(std::span<const Operation> history, std::uint64_t budget) {
  return SequentialSearch(history, budget).run();
}

}  // namespace quorate::check
