#include "sim/coverage_report.h"

#include <algorithm>

#include <fmt/format.h>

namespace quorate::sim {

void CoverageReport::add(const Overlaps& run) {
  ++runs_;
  if (run.at_once >= 3) ++runs_of_three_;
  at_once_ = std::max(at_once_, run.at_once);
  for (const FaultKind a : run.struck.kinds()) {
    ++pairs_[static_cast<std::size_t>(a)][static_cast<std::size_t>(a)];
    for (const FaultKind b : run.met[static_cast<std::size_t>(a)].kinds()) {
      if (a != b) ++pairs_[static_cast<std::size_t>(a)][static_cast<std::size_t>(b)];
    }
  }
}

CoverageReport::Fewest CoverageReport::fewest() const {
  Fewest fewest;
  for (const FaultKind a : allowed_.kinds()) {
    for (const FaultKind b : allowed_.kinds()) {
      if (a < b && seeds(a, b) < fewest.seeds) fewest = {seeds(a, b), a, b};
    }
  }
  return fewest;
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
  out += fmt::format("{} kinds of faults; three or more at once in {} of {} seeds, at most {}\n",
                     kinds.size(), runs_of_three_, runs_, at_once_);
  if (kinds.size() > 1) {
    const Fewest least = fewest();
    out += fmt::format("every pair at once in at least {} seeds ({} and {})\n", least.seeds,
                       to_string(least.a), to_string(least.b));
  }
  return out;
}

std::string CoverageReport::json() const {
  const auto kinds = allowed_.kinds();
  std::string rows;
  for (const FaultKind a : kinds) {
    std::string row;
    for (const FaultKind b : kinds)
      row += fmt::format("{}\"{}\":{}", row.empty() ? "" : ",", to_string(b), seeds(a, b));
    rows += fmt::format("{}\"{}\":{{{}}}", rows.empty() ? "" : ",", to_string(a), row);
  }
  const Fewest least = kinds.size() > 1 ? fewest() : Fewest{0, {}, {}};
  return fmt::format(
      R"({{"seeds":{},"kinds":{},"three_at_once":{},"most_at_once":{},"fewest":{},"pairs":{{{}}}}})", runs_,
      kinds.size(), runs_of_three_, at_once_, least.seeds, rows);
}

}  // namespace quorate::sim
