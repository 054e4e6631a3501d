#include "sim/crash_points.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "sim/run.h"

namespace quorate::sim {

namespace {

using Survival = CrashPoint::Survival;

constexpr std::uint32_t script_operations = 200;
constexpr std::uint32_t nodes = 3;
constexpr std::size_t most_failures_told = 5;
constexpr std::array<std::string_view, 5> names{"any", "all", "none", "torn", "reordered"};

class Enumeration {
 public:
  Enumeration(Options options, std::uint64_t seed) : options_(std::move(options)), seed_(seed) {}

  CrashPointReport run(std::uint64_t stride, unsigned jobs) {
    const std::uint32_t leader = run_at({}).leader;
    for (const std::uint32_t node : {leader, (leader + 1) % nodes}) {
      for (const Survival survival : {Survival::all, Survival::none, Survival::torn, Survival::reordered})
        crash_everywhere({0, 0, survival, node}, stride, jobs);
    }
    return report_;
  }

 private:
  void crash_everywhere(CrashPoint point, std::uint64_t stride, unsigned jobs) {
    const Result calm = run_at(point);
    std::atomic<std::uint64_t> next{1};
    auto work = [&, point]() mutable {
      for (;;) {
        point.operation = next.fetch_add(stride);
        if (point.operation > calm.storage_operations) return;
        crash(point);
      }
    };
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < jobs; ++i) threads.emplace_back(work);
    work();
  }

  void crash(CrashPoint point) {
    const Result once = run_at(point);
    {
      const std::lock_guard lock(mutex_);
      ++report_.operations;
      report_.recoveries += once.recovery_operations;
    }
    for (point.again = 1; point.again <= once.recovery_operations; ++point.again) run_at(point);
  }

  Result run_at(const CrashPoint& point) {
    Options options = options_;
    options.crash = point;
    Result result = run_seed(options, seed_);
    const std::uint32_t wanted = (point.operation != 0 ? 1 : 0) + (point.again != 0 ? 1 : 0);
    if (result.ok && result.cuts < wanted) {
      result.ok = false;
      result.property = "enumeration";
      result.failure = "the power was not cut there";
    }
    const std::lock_guard lock(mutex_);
    ++report_.runs;
    if (result.ok) return result;
    ++report_.failed;
    if (report_.failures.size() < most_failures_told) {
      report_.failures.push_back(
          fmt::format("{}: {} | {}", result.property, result.failure, reproduce(options, seed_)));
    }
    return result;
  }

  Options options_;
  std::uint64_t seed_;
  std::mutex mutex_;  // guards what follows
  CrashPointReport report_;
};

}  // namespace

CrashPointReport enumerate_crash_points(Options options, std::uint64_t seed, std::uint64_t stride,
                                        unsigned jobs) {
  options.faults = FaultSet::none();
  options.operations = script_operations;
  options.nodes = nodes;
  return Enumeration(std::move(options), seed).run(stride, jobs);
}

std::string_view to_string(Survival survival) { return names.at(static_cast<std::size_t>(survival)); }

std::optional<CrashPoint> parse_crash_point(std::string_view text) {
  CrashPoint point;
  for (std::uint64_t* part : {&point.operation, &point.again}) {
    const std::size_t comma = text.find(',');
    if (comma == std::string_view::npos) return std::nullopt;
    const std::string_view number = text.substr(0, comma);
    const char* const behind = number.data() + number.size();
    const auto [end, error] = std::from_chars(number.data(), behind, *part);
    if (error != std::errc() || end != behind) return std::nullopt;
    text.remove_prefix(comma + 1);
  }
  const std::size_t comma = std::min(text.find(','), text.size());
  const auto* at = std::ranges::find(names, text.substr(0, comma));
  const std::string_view node = text.substr(std::min(comma + 1, text.size()));
  if (at == names.end() || node.size() != 1 || node[0] < '0' || node[0] >= static_cast<char>('0' + nodes))
    return std::nullopt;
  point.node = static_cast<std::uint32_t>(node[0] - '0');
  point.survival = static_cast<Survival>(at - names.begin());
  return point;
}

}  // namespace quorate::sim
