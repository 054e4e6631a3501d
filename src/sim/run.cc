#include "sim/run.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/crash_points.h"
#include "sim/trace.h"
#include "sim/workload_model.h"
#include "sim/world.h"

namespace quorate::sim {

Result run_seed(const Options& options, std::uint64_t seed, std::string* trace) {
  const auto model = make_workload_model(options.model);
  if (!model) throw std::invalid_argument("no model is called " + options.model);
  Trace lines;
  World world(options, *model, seed, trace != nullptr ? &lines : nullptr);
  Result result = world.run();
  if (trace != nullptr) *trace = lines.finish();
  return result;
}

void run_seeds(const Options& options, std::uint64_t first, std::uint64_t last, unsigned jobs,
               const std::function<bool(const Result&)>& done) {
  std::atomic<std::uint64_t> next{first};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // guards what follows, and done()
  std::map<std::uint64_t, Result> finished;
  std::uint64_t told = first;
  auto work = [&] {
    for (std::uint64_t seed = next++; seed <= last && !stop; seed = next++) {
      Result result = run_seed(options, seed);
      const std::lock_guard lock(mutex);
      finished.emplace(seed, std::move(result));
      while (!finished.empty() && finished.begin()->first == told && !stop) {
        if (!done(finished.begin()->second)) stop = true;
        finished.erase(finished.begin());
        ++told;
      }
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned i = 1; i < jobs; ++i) threads.emplace_back(work);
  work();
}

namespace {

class Shrinker {
 public:
  Shrinker(Options options, std::uint64_t seed, unsigned tries)
      : best_(std::move(options)), seed_(seed), tries_(tries) {}

  Options run() {
    const Result whole = run_seed(best_, seed_);
    if (whole.ok) return best_;
    property_ = whole.property;
    if (!best_.keep) {
      best_.keep.emplace();
      for (std::uint32_t i = 0; i < whole.plan.size(); ++i) best_.keep->push_back(i);
    }
    drop_kinds(whole.plan);
    drop_chunks();
    fewer_operations();
    for (std::uint32_t keys = 1; keys < 4 && best_.keys != keys; ++keys) {
      if (accept([&](Options& o) { o.keys = keys; })) break;
    }
    for (std::uint32_t nodes : {2U, 3U, 4U}) {
      if (best_.nodes == nodes || accept([&](Options& o) { o.nodes = nodes; })) break;
    }
    drop_chunks();
    return best_;
  }

 private:
  // Tries the options so changed; keeps them if the same property is still violated.
  template <class Change>
  bool accept(Change change) {
    if (tries_ == 0) return false;
    --tries_;
    Options candidate = best_;
    change(candidate);
    const Result result = run_seed(candidate, seed_);
    if (result.ok || result.property != property_) return false;
    best_ = std::move(candidate);
    return true;
  }

  void drop_kinds(const std::vector<Fault>& plan) {
    for (std::size_t kind = 0; kind < fault_kinds; ++kind) {
      accept([&](Options& o) {
        std::erase_if(*o.keep, [&](std::uint32_t i) { return plan[i].kind == static_cast<FaultKind>(kind); });
      });
    }
  }

  // Delta debugging (Zeller, Hildebrandt 2002), the part that removes.
  void drop_chunks() {
    for (std::size_t size = std::max<std::size_t>(best_.keep->size() / 2, 1); size != 0; size /= 2) {
      for (std::size_t at = 0; at < best_.keep->size();) {
        const bool dropped = accept([&](Options& o) {
          const auto from = o.keep->begin() + static_cast<std::ptrdiff_t>(at);
          o.keep->erase(from, from + static_cast<std::ptrdiff_t>(std::min(size, o.keep->size() - at)));
        });
        if (!dropped) at += size;
      }
    }
  }

  void fewer_operations() {
    for (std::uint32_t step = best_.operations / 2; step != 0; step /= 2) {
      while (best_.operations > step && accept([&](Options& o) { o.operations -= step; })) {
      }
    }
  }

  Options best_;
  std::uint64_t seed_;
  unsigned tries_;
  std::string property_;
};

}  // namespace

Options shrink(const Options& options, std::uint64_t seed, unsigned tries) {
  return Shrinker(options, seed, tries).run();
}

std::string reproduce(const Options& options, std::uint64_t seed) {
  const Options usual;
  std::string line = fmt::format("quorate sim --protocol {} --seeds {}", options.protocol, seed);
  if (options.model != usual.model) line += " --model " + options.model;
  if (options.nodes != usual.nodes) line += fmt::format(" --nodes {}", options.nodes);
  if (options.keys != usual.keys) line += fmt::format(" --keys {}", options.keys);
  if (options.operations != usual.operations) line += fmt::format(" --ops {}", options.operations);
  if (options.faults != usual.faults) line += " --faults " + options.faults.str();
  if (!options.together.empty()) line += " --together " + options.together.str();
  if (options.pairs) line += " --pairs";
  if (options.lease_reads) line += " --leases";
  if (options.lasting) line += " --lasting";
  if (options.behind) line += " --behind";
  if (options.damaged_majority) line += " --damaged-majority";
  if (options.crash) {
    line += fmt::format(" --crash-at {},{},{},{}", options.crash->operation, options.crash->again,
                        to_string(options.crash->survival), options.crash->node);
  }
  if (options.keep)
    line += options.keep->empty() ? " --keep none" : fmt::format(" --keep {}", fmt::join(*options.keep, ","));
  return line;
}

}  // namespace quorate::sim
