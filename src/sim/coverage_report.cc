#include "sim/coverage_report.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

namespace quorate::sim {

void CoverageReport::add(const Overlaps& run) {
  ++runs_;
  if (run.at_once >= 3) ++runs_of_three_;
  at_once_ = std::max(at_once_, run.at_once);
  for (const FaultKind a : run.struck.kinds()) {
    ++pairs_[static_cast<std::size_t>(a)][static_cast<std::size_t>(a)];
    FaultSet others = run.met[static_cast<std::size_t>(a)];
    others.remove(a);
    for (const FaultKind b : others.kinds())
      ++pairs_[static_cast<std::size_t>(a)][static_cast<std::size_t>(b)];
    if (!others.empty()) ++met_[static_cast<std::size_t>(a)];
  }
}

std::vector<CoverageReport::Pair> CoverageReport::by_seeds() const {
  std::vector<Pair> pairs;
  for (const FaultKind a : allowed_.kinds()) {
    for (const FaultKind b : allowed_.kinds()) {
      if (a < b) pairs.push_back({seeds(a, b), a, b});
    }
  }
  std::ranges::stable_sort(pairs, {}, &Pair::seeds);
  return pairs;
}

std::string CoverageReport::text() const {
  const auto kinds = allowed_.kinds();
  std::string out;
  for (const FaultKind a : kinds) {
    out += fmt::format("{:<20}{:>9} seeds, at once with:", to_string(a), seeds(a, a));
    for (const FaultKind b : kinds) {
      if (a != b) out += fmt::format(" {}={}", to_string(b), seeds(a, b));
    }
    out += '\n';
  }
  out += fmt::format("{} kinds of faults\n", kinds.size());
  const auto pairs = by_seeds();
  if (pairs.empty()) return out;
  out +=
      fmt::format("{} pairs, each at once in at least {} seeds, the median in {}; the rarest:", pairs.size(),
                  pairs.front().seeds, pairs[pairs.size() / 2].seeds);
  for (const Pair& pair : std::span(pairs).first(std::min<std::size_t>(pairs.size(), 10)))
    out += fmt::format(" {}+{}={}", to_string(pair.a), to_string(pair.b), pair.seeds);
  return out + '\n';
}

std::string CoverageReport::at_once() const {
  return fmt::format("three or more kinds of faults in effect at once in {} of {} seeds, at most {}",
                     runs_of_three_, runs_, at_once_);
}

std::string CoverageReport::json() const {
  const auto kinds = allowed_.kinds();
  std::string rows;
  std::string met_any;
  for (const FaultKind a : kinds) {
    std::string row;
    for (const FaultKind b : kinds)
      row += fmt::format("{}\"{}\":{}", row.empty() ? "" : ",", to_string(b), seeds(a, b));
    rows += fmt::format("{}\"{}\":{{{}}}", rows.empty() ? "" : ",", to_string(a), row);
    met_any += fmt::format("{}\"{}\":{}", met_any.empty() ? "" : ",", to_string(a), met(a));
  }
  const auto pairs = by_seeds();
  return fmt::format(
      R"({{"seeds":{},"kinds":{},"three_at_once":{},"most_at_once":{},"fewest":{},"median":{},"met":{{{}}},"pairs":{{{}}}}})",
      runs_, kinds.size(), runs_of_three_, at_once_, pairs.empty() ? 0 : pairs.front().seeds,
      pairs.empty() ? 0 : pairs[pairs.size() / 2].seeds, met_any, rows);
}

}  // namespace quorate::sim
