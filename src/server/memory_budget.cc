#include "server/memory_budget.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace quorate::server {
namespace {

constexpr std::uint64_t no_limit = std::uint64_t{1} << 60U;  // version 1 says "none" with a number beyond

std::uint64_t read_limit(const std::string& file) {
  std::uint64_t limit = 0;
  std::ifstream in(file);
  return in >> limit && limit < no_limit ? limit : 0;  // "max" is no number
}

// A group's limit holds for those below it.
std::uint64_t tightest(const std::string& mount, std::filesystem::path group, const std::string& file) {
  std::uint64_t least = 0;
  for (;; group = group.parent_path()) {
    const std::uint64_t limit = read_limit(mount + group.string() + "/" + file);
    if (limit != 0 && (least == 0 || limit < least)) least = limit;
    if (!group.has_relative_path()) return least;
  }
}

}  // namespace

MemoryBudget budget_for(std::uint64_t memory, std::size_t keyspaces) {
  MemoryBudget budget;
  if (memory == 0) return budget;
  const std::uint64_t each = memory / std::max<std::size_t>(keyspaces, 1);
  const auto bound = [each](std::uint64_t& share, std::uint64_t part, std::uint64_t least) {
    share = std::clamp<std::uint64_t>(each / part, least, share);
  };
  bound(budget.cache, 8, 1U << 20U);
  bound(budget.kept_log, 16, 256U << 10U);
  bound(budget.unflushed, 32, 256U << 10U);
  bound(budget.requests, 8, 4U << 20U);
  bound(budget.answers, 8, 4U << 20U);
  return budget;
}

std::uint64_t group_limit(const std::string& membership, const std::string& mounts) {
  std::istringstream lines(membership);
  std::uint64_t least = 0;
  for (std::string line; std::getline(lines, line);) {  // number:controllers:path
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const auto controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",memory,") == std::string::npos) continue;
    const std::uint64_t limit =
        unified ? tightest(mounts, line.substr(second + 1), "memory.max")
                : tightest(mounts + "/memory", line.substr(second + 1), "memory.limit_in_bytes");
    if (limit != 0 && (least == 0 || limit < least)) least = limit;
  }
  return least;
}

std::uint64_t group_limit() {
  std::ostringstream membership;
  membership << std::ifstream("/proc/self/cgroup").rdbuf();
  return group_limit(membership.str());
}

}  // namespace quorate::server
