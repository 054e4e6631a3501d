#include "sim/sim_command.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "core/codec.h"
#include "explore/explore.h"
#include "registry/registry.h"
#include "sim/coverage_report.h"
#include "sim/crash_points.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/sim_options.h"
#include "sim/theatre/illustrations.h"
#include "sim/workload_model.h"

namespace quorate::sim {

namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "17" or "1..1000".
bool parse_range(std::string_view text, Arguments& arguments) {
  const std::size_t dots = text.find("..");
  const auto first = number(text.substr(0, dots));
  const auto last = dots == std::string_view::npos ? first : number(text.substr(dots + 2));
  if (!first || !last || *first > *last) return false;
  arguments.first = *first;
  arguments.last = *last;
  return true;
}

bool parse_list(std::string_view text, std::vector<std::uint32_t>& list) {
  if (text == "none") return true;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto value = number(text.substr(0, comma));
    if (!value) return false;
    list.push_back(static_cast<std::uint32_t>(*value));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return true;
}

double ms(Duration d) { return static_cast<double>(d.count()) / 1e6; }

std::string json_of(const Result& r) {
  return fmt::format(
      R"({{"seed":{},"ok":{},"hash":"{:016x}","events":{},"simulated_ms":{:.3f},"first_commit_ms":{:.3f},"recovery_ms":{:.3f},)"
      R"("acknowledged":{},"unknown":{},"epochs":{},"rejoined":{},"silent_losses":{},"refused":{},"waits":{},"faults":"{}","property":{},"failure":{}}})",
      r.seed, r.ok, r.hash, r.events, ms(r.simulated), ms(r.first_commit), ms(r.recovery), r.acknowledged,
      r.unknown, r.epochs, r.rejoined, r.silent_losses, r.refused, r.waits, r.faults.struck.str(),
      codec::detail::quote(r.property), codec::detail::quote(r.failure));
}

std::string line_of(const Result& r) {
  return fmt::format(
      "seed {} {} hash={:016x} events={} simulated={:.3f}s acknowledged={} unknown={} epochs={} rejoined={} "
      "silent_losses={} refused={}{} "
      "recovery={:.0f}ms faults={}",
      r.seed, r.ok ? "ok" : "FAILED", r.hash, r.events, ms(r.simulated) / 1e3, r.acknowledged, r.unknown,
      r.epochs, r.rejoined, r.silent_losses, r.refused, r.waits ? " waits" : "", ms(r.recovery),
      r.faults.struck.str());
}

// Percentiles, in ms.
std::string spread(std::vector<Duration>& times) {
  if (times.empty()) return "-";
  std::ranges::sort(times);
  const auto at = [&](std::size_t parts_of_10000) {
    return ms(times[std::min(times.size() - 1, times.size() * parts_of_10000 / 10'000)]);
  };
  return fmt::format("p50 {:.0f}, p99 {:.0f}, p99.99 {:.0f}, slowest {:.0f}", at(5000), at(9900), at(9999),
                     ms(times.back()));
}

class Sweep {
 public:
  explicit Sweep(const Arguments& arguments)
      : arguments_(&arguments),
        coverage_(arguments.options.faults),
        progress_(!arguments.verbose && !arguments.json && isatty(STDERR_FILENO) == 1) {}

  int run() {
    run_seeds(arguments_->options, arguments_->first, arguments_->last, arguments_->jobs,
              [this](const Result& result) { return took(result); });
    if (progress_) std::fputs("\r\033[K", stderr);
    if (arguments_->coverage && !arguments_->json) fmt::print("{}", coverage_.text());
    fmt::print("after healing, ms: first commit {}; every member serves {}\n", spread(commits_),
               spread(recoveries_));
    if (!pauses_.empty())
      fmt::print(
          "while a partial partition lasts, ms without a commit: {}; leaders in its second half: at most "
          "{}\n",
          spread(pauses_), most_leaders_);
    fmt::print("{}\n", coverage_.at_once());
    if (arguments_->options.damaged_majority)
      fmt::print("without a whole quorum at the end, and waiting: {} seeds; {} nodes refused to start\n",
                 waiting_, refused_);
    // Processor time: the machine may have other work.
    const double busy = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    fmt::print(
        "{}: {} seeds, {} passed, {} failed; {} operations acknowledged, {} damaged logs rejoined, "
        "silent losses: {}; "
        "{:.1f} M events in {:.1f} s, "
        "{:.2f} M events per second of a core\n",
        arguments_->options.protocol, passed_ + failed_, passed_, failed_, acknowledged_, rejoined_,
        silent_losses_, static_cast<double>(events_) / 1e6, seconds(),
        static_cast<double>(events_) / 1e6 / busy);
    if (arguments_->coverage && arguments_->json) fmt::print("{}\n", coverage_.json());
    return failed_ == 0 ? 0 : 1;
  }

 private:
  bool took(const Result& result) {
    events_ += result.events;
    acknowledged_ += result.acknowledged;
    rejoined_ += result.rejoined;
    silent_losses_ += result.silent_losses;
    refused_ += result.refused;
    waiting_ += result.waits ? 1U : 0U;
    result.ok ? ++passed_ : ++failed_;
    if (result.ok && !result.waits) {
      recoveries_.push_back(result.recovery);
      commits_.push_back(result.first_commit);
      if (result.lasting.shape != 0) pauses_.push_back(result.lasting.pause);
      most_leaders_ = std::max(most_leaders_, result.lasting.late_leaders);
    }
    coverage_.add(result.faults);
    if (arguments_->json && !arguments_->coverage) fmt::print("{}\n", json_of(result));
    if (arguments_->verbose && !arguments_->json) fmt::print("{}\n", line_of(result));
    if (!result.ok) report(result);
    if (result.ok && arguments_->twice) repeat(result);
    if (progress_ && (passed_ + failed_) % 16 == 0) {
      fmt::print(stderr, "\r{} of {} seeds, {} failed, {:.2f} M events/s ", passed_ + failed_,
                 arguments_->last - arguments_->first + 1, failed_,
                 static_cast<double>(events_) / 1e6 / seconds());
    }
    std::fflush(stdout);
    if (arguments_->seconds > 0 && seconds() > arguments_->seconds) return false;
    return failed_ < arguments_->most_failures;
  }

  void repeat(const Result& result) {
    const Result again = run_seed(arguments_->options, result.seed);
    if (again.hash == result.hash && again.events == result.events) return;
    --passed_;
    ++failed_;
    fmt::print("FAILED determinism: two runs of seed {} differ: {}\n", result.seed,
               reproduce(arguments_->options, result.seed) + " --twice");
  }

  void report(const Result& result) {
    if (progress_) std::fputs("\r\033[K", stderr);
    Options options = arguments_->options;
    if (arguments_->shrink) options = sim::shrink(options, result.seed);
    const Result shown = arguments_->shrink ? run_seed(options, result.seed) : result;
    std::string what = shown.failure;
    std::ranges::replace(what, '\n', ';');
    fmt::print("FAILED {} at {:.3f} ms: {} | {}\n", shown.property, ms(shown.simulated), what,
               reproduce(options, result.seed));
    if (!arguments_->shrink || !options.keep) return;
    for (const std::uint32_t i : *options.keep) {
      if (i < shown.plan.size()) fmt::print("  fault {}: {}\n", i, to_string(shown.plan[i]));
    }
  }

  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }

  const Arguments* arguments_;
  CoverageReport coverage_;
  bool progress_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::uint64_t passed_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t rejoined_ = 0;
  std::uint64_t silent_losses_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t waiting_ = 0;
  std::vector<Duration> recoveries_;  // of the runs that passed
  std::vector<Duration> commits_;
  std::vector<Duration> pauses_;  // of partial partitions that lasted
  std::uint64_t most_leaders_ = 0;
};

int replay(const Arguments& arguments) {
  std::string trace;
  const Result result =
      run_seed(arguments.options, *arguments.replay, arguments.trace.empty() ? nullptr : &trace);
  if (!arguments.trace.empty()) {
    std::ofstream file(arguments.trace, std::ios::binary);
    file << trace;
    file.close();
    if (!file) {
      fmt::print(stderr, "cannot write {}\n", arguments.trace);
      return 2;
    }
  }
  fmt::print("{}\n", arguments.json ? json_of(result) : line_of(result));
  if (!arguments.json) {
    for (std::size_t i = 0; i < result.plan.size(); ++i)
      fmt::print("  fault {}: {}\n", i, to_string(result.plan[i]));
    if (!result.ok) fmt::print("FAILED {}: {}\n", result.property, result.failure);
  }
  return result.ok ? 0 : 1;
}

std::optional<std::string> read_file(const std::string& name) {
  std::ifstream in(name, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in) return text;
  fmt::print(stderr, "cannot read {}\n", name);
  return std::nullopt;
}

// One file against what it should hold today: compared, or written. False if it differs.
bool settle_file(const std::string& name, const std::string& had, const std::string& wanted, bool rewrite) {
  const bool same = had == wanted;
  if (rewrite && !same) std::ofstream(name, std::ios::binary) << wanted;
  fmt::print("{} {}\n", name, same ? "ok" : rewrite ? "rewritten" : "differs from what happens (--rewrite)");
  return same || rewrite;
}

int enumerate(const Arguments& arguments) {
  CrashPointReport all;
  for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    const CrashPointReport report =
        enumerate_crash_points(arguments.options, seed, arguments.stride, arguments.jobs);
    for (const std::string& failure : report.failures) fmt::print("FAILED {}\n", failure);
    std::fflush(stdout);
    all.operations += report.operations;
    all.recoveries += report.recoveries;
    all.runs += report.runs;
    all.failed += report.failed;
  }
  fmt::print("{}: {} crash points of the script, {} within their recoveries: {} runs, {} failed\n",
             arguments.options.protocol, all.operations, all.recoveries, all.runs, all.failed);
  return all.failed == 0 ? 0 : 1;
}

int play(const Arguments& arguments) {
  int status = 0;
  for (const std::string& name : arguments.scenarios) {
    const auto golden = read_file(name);
    if (!golden) return 2;
    const ScenarioResult played = run_scenario(*golden);
    if (!arguments.diagram.empty()) {
      fmt::print("{}",
                 arguments.diagram == "mermaid" ? draw_mermaid(played.story) : draw_lanes(played.story));
      status = played.failed ? 1 : status;
    } else if (!settle_file(name, *golden, played.text, arguments.rewrite) || played.failed) {
      status = 1;
    }
    if (played.failed) fmt::print(stderr, "{} FAILED: see the lines that say so\n", name);
  }
  return status;
}

int illustrate_all(const Arguments& arguments) {
  int status = 0;
  for (const std::string& name : arguments.illustrated) {
    const auto document = read_file(name);
    if (!document) return 2;
    const auto drawn = illustrate(*document, ".");
    if (!drawn) fmt::print(stderr, "{}: {}\n", name, drawn.error());
    if (!drawn || !settle_file(name, *document, *drawn, arguments.rewrite)) status = 1;
  }
  return status;
}

// Everything that can happen within bounds, instead of a random choice of it.
int explore_all(const Arguments& arguments) {
  explore::Bounds bounds = arguments.bounds;
  if (arguments.options.nodes != 0) bounds.nodes = static_cast<std::uint32_t>(arguments.options.nodes);
  const auto began = std::chrono::steady_clock::now();
  const explore::Report report = explore::explore(arguments.options.protocol, bounds);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print("{}", explore::text(arguments.options.protocol, report, seconds));
  return report.violation ? 1 : 0;
}

}  // namespace

int sim_main(std::vector<std::string> arguments, const Dress& dress) {
  Arguments a;
  CLI::App app(
      "Run a protocol in a simulated cluster with everything going wrong, seed after seed, and judge it.",
      "quorate sim");
  define_options(app, a);
  if (dress && !dress(app)) return 0;
  std::ranges::reverse(arguments);  // as CLI11 wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto usage = [](const std::string& problem) {
    fmt::print(stderr, "quorate sim: {}\nquorate sim --help tells more\n", problem);
    return 2;
  };
  if (!a.diagram.empty() && a.diagram != "lanes" && a.diagram != "mermaid")
    return usage("--diagram is drawn as lanes or mermaid");
  if (!a.trace.empty() && !a.replay) return usage("--trace wants --replay SEED: it is of one run");
  if (!a.scenarios.empty()) return play(a);
  if (!a.illustrated.empty()) return illustrate_all(a);
  if (a.exhaustive) {
    if (!explore::known(a.options.protocol)) return usage("--exhaustive wants --protocol raft or paxos");
    if (a.options.nodes > 5) return usage("--exhaustive wants at most five nodes: --nodes 5");
    return explore_all(a);
  }
  const auto protocol = registry::find(a.options.protocol);
  if (!protocol) return usage(protocol.error());
  a.options.factory = (*protocol)->make;
  a.options.rejoin = (*protocol)->rejoin;
  a.options.leaders = (*protocol)->family == registry::Family::replicated_log;
  if (!make_workload_model(a.options.model))
    return usage("no model is called " + a.options.model + "; there are: register, etcd");
  const auto parsed = FaultSet::parse(a.faults);
  if (!parsed) return usage(parsed.error());
  a.options.faults = *parsed;
  const auto joined = FaultSet::parse(a.together);
  if (!joined) return usage(joined.error());
  a.options.together = *joined;
  if ((joined->bits() & ~parsed->bits()) != 0) return usage("--together wants kinds that --faults has");
  if (a.options.pairs && !joined->empty()) return usage("--pairs and --together exclude each other");
  if (!parse_range(a.seeds, a)) return usage("--seeds wants one number or a range, as in 17 or 1..1000");
  if (!a.keep.empty() && !parse_list(a.keep, a.options.keep.emplace()))
    return usage("--keep wants numbers of faults, as in 0,3,4, or none; --replay SEED lists them");
  if (!a.crash_at.empty() && !(a.options.crash = parse_crash_point(a.crash_at)))
    return usage("--crash-at wants OPERATION,AGAIN,SURVIVAL,NODE, the node from 0");
  if (a.crash_points) return enumerate(a);
  return a.replay ? replay(a) : Sweep(a).run();
}

}  // namespace quorate::sim
