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
#include "sim/theatre/illustrations.h"
#include "sim/workload_model.h"

namespace quorate::sim {

namespace {

struct Arguments {
  Options options;
  std::uint64_t first = 1;
  std::uint64_t last = 1000;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t most_failures = 1;
  bool verbose = false;
  bool json = false;
  bool twice = false;
  bool shrink = false;
  bool coverage = false;
  bool crash_points = false;
  std::uint64_t stride = 1;
  double seconds = 0;
  std::optional<std::uint64_t> replay;
  std::string trace;
  std::vector<std::string> scenarios;
  std::vector<std::string> illustrated;
  std::string diagram;
  bool rewrite = false;
  bool exhaustive = false;
  explore::Bounds bounds;
};

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
      R"("acknowledged":{},"unknown":{},"epochs":{},"rejoined":{},"faults":"{}","property":{},"failure":{}}})",
      r.seed, r.ok, r.hash, r.events, ms(r.simulated), ms(r.first_commit), ms(r.recovery), r.acknowledged,
      r.unknown, r.epochs, r.rejoined, r.faults.struck.str(), codec::detail::quote(r.property),
      codec::detail::quote(r.failure));
}

std::string line_of(const Result& r) {
  return fmt::format(
      "seed {} {} hash={:016x} events={} simulated={:.3f}s acknowledged={} unknown={} epochs={} rejoined={} "
      "recovery={:.0f}ms faults={}",
      r.seed, r.ok ? "ok" : "FAILED", r.hash, r.events, ms(r.simulated) / 1e3, r.acknowledged, r.unknown,
      r.epochs, r.rejoined, ms(r.recovery), r.faults.struck.str());
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
    // Processor time: the machine may have other work.
    const double busy = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    fmt::print(
        "{}: {} seeds, {} passed, {} failed; {} operations acknowledged, {} damaged logs rejoined; "
        "{:.1f} M events in {:.1f} s, "
        "{:.2f} M events per second of a core\n",
        arguments_->options.protocol, passed_ + failed_, passed_, failed_, acknowledged_, rejoined_,
        static_cast<double>(events_) / 1e6, seconds(), static_cast<double>(events_) / 1e6 / busy);
    if (arguments_->coverage && arguments_->json) fmt::print("{}\n", coverage_.json());
    return failed_ == 0 ? 0 : 1;
  }

 private:
  bool took(const Result& result) {
    events_ += result.events;
    acknowledged_ += result.acknowledged;
    rejoined_ += result.rejoined;
    result.ok ? ++passed_ : ++failed_;
    if (result.ok) {
      recoveries_.push_back(result.recovery);
      commits_.push_back(result.first_commit);
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
  std::vector<Duration> recoveries_;  // of the runs that passed
  std::vector<Duration> commits_;
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

std::string fault_list() {
  std::string text = "faults:\n";
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    text += fmt::format("  {:<22} {}{}\n", to_string(kind), describe(kind),
                        beyond_promise(kind) ? " (beyond what is promised; never unless asked for)" : "");
  }
  return text;
}

}  // namespace

int sim_main(std::vector<std::string> arguments) {
  Arguments a;
  std::string seeds = "1..1000";
  std::string faults = "all";
  std::string together;
  std::string keep;
  std::string crash_at;
  CLI::App app{"Runs a protocol in a simulated cluster with everything going wrong, seed after seed.",
               "quorate sim"};
  app.add_option("--protocol", a.options.protocol, "raft or paxos")->capture_default_str();
  app.add_option("--model", a.options.model, "the state machine: register or etcd")->capture_default_str();
  app.add_option("--seeds", seeds, "one, or a range A..B")->capture_default_str();
  app.add_option("--nodes", a.options.nodes, "at the beginning; 0: the seed decides")
      ->check(CLI::Range(0, 9));
  app.add_option("--keys", a.options.keys, "how many; 0: the seed decides")->check(CLI::Range(0, 20));
  app.add_option("--ops", a.options.operations, "client operations a seed")->capture_default_str();
  app.add_option("--faults", faults, "kinds, separated by commas; all, none; -KIND leaves one out")
      ->capture_default_str();
  app.add_option("--together", together, "kinds that are in effect at one time in each seed");
  app.add_flag(
      "--pairs", a.options.pairs,
      "two kinds are in effect at one time in each seed; as many seeds as there are pairs have them all");
  app.add_option("--keep", keep, "only these of the planned faults, by number; none");
  app.add_option("--jobs", a.jobs, "threads")->check(CLI::Range(1, 256));
  app.add_option("--failures", a.most_failures, "stop after so many")->capture_default_str();
  app.add_option("--for", a.seconds, "stop after so many seconds; 0: never")->capture_default_str();
  app.add_flag("--leases", a.options.lease_reads, "serve all reads under the leader's lease");
  app.add_flag("--verbose", a.verbose, "a line for each seed");
  app.add_flag("--json", a.json, "a JSON object for each seed");
  app.add_flag("--twice", a.twice, "run each seed twice and compare");
  app.add_flag("--shrink", a.shrink, "make a failing run as small as it gets");
  app.add_flag("--coverage", a.coverage,
               "count how often each two kinds of faults were in effect at once; with --json as one object");
  app.add_flag(
      "--crash-points", a.crash_points,
      "cut the power of a node at each of its storage operations, and again at each of the recovery's");
  app.add_option("--stride", a.stride, "with --crash-points: only every so many-th operation")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--crash-at", crash_at, "one of these: OPERATION,AGAIN,SURVIVAL");
  app.add_option("--replay", a.replay, "run one seed and tell its faults");
  app.add_option("--trace", a.trace, "with --replay: write everything that happened to this file, as JSON");
  app.add_option("--scenario", a.scenarios, "play scenario files and compare with their golden traces");
  app.add_flag("--diagram{lanes}", a.diagram,
               "with --scenario: print a sequence diagram; --diagram=mermaid for Markdown");
  app.add_option("--illustrate", a.illustrated,
                 "compare the diagrams in these documents with the scenarios they are drawn from");
  app.add_flag("--rewrite", a.rewrite, "with --scenario, --illustrate: write what happened into the files");
  app.add_flag(
      "--exhaustive", a.exhaustive,
      "instead of seeds: every interleaving of messages, crashes, timers and writes within these bounds:");
  app.add_option("--terms", a.bounds.terms, "terms, or rounds of ballots")
      ->capture_default_str()
      ->check(CLI::Range(1, 9));
  app.add_option("--commands", a.bounds.commands, "proposals")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_option("--crashes", a.bounds.crashes, "crashes, each with a restart")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_option("--timers", a.bounds.timers, "firings of timers; 255: as often as it makes a difference")
      ->capture_default_str()
      ->check(CLI::Range(0, 255));
  app.add_option("--heartbeats", a.bounds.heartbeats, "firings of leaders' heartbeat timers")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_option("--reads", a.bounds.reads, "linearizable reads")
      ->capture_default_str()
      ->check(CLI::Range(0, 3));
  app.add_option("--catch-ups", a.bounds.catch_ups, "how often a refused candidate takes over another's log")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_option("--transfers", a.bounds.transfers, "leadership transfers, to anybody")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_option("--snapshots", a.bounds.snapshots, "snapshots, each of which cuts a node's log")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_option("--damages", a.bounds.damages, "damaged logs, that are given up for what others have")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_option("--ticks", a.bounds.ticks,
                 "half election timeouts that pass, at all nodes alike; reads are by lease then")
      ->capture_default_str()
      ->check(CLI::Range(0, 99));
  app.add_option(
         "--late-writes", a.bounds.late_writes,
         "how many writes of a node may be late at once; others are durable at once, or lost in a crash")
      ->capture_default_str()
      ->check(CLI::Range(0, 9));
  app.add_flag("--pre-votes", a.bounds.pre_votes, "pre-votes are messages, instead of granted at once");
  app.add_flag("--single-entries", a.bounds.single_entries, "no message carries more than one entry");
  app.add_option("--candidates", a.bounds.candidates, "who alone campaigns in terms 1, 2, ...")
      ->delimiter(',');
  app.add_option("--readers", a.bounds.readers, "who is asked for reads; otherwise anybody")->delimiter(',');
  app.add_option("--voters", a.bounds.voters, "at first, instead of all nodes")->delimiter(',');
  app.add_option("--change", a.bounds.change, "one membership change, to these voters")->delimiter(',');
  app.add_option("--max-states", a.bounds.max_states, "stop after so many")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{4'000'000'000}));
  app.add_option("--max-depth", a.bounds.max_depth, "actions in a row; 0: no limit")->capture_default_str();
  app.footer(fault_list());
  std::ranges::reverse(arguments);  // as CLI11 wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto usage = [](const std::string& problem) {
    fmt::print(stderr, "quorate sim: {}\n", problem);
    return 2;
  };
  if (!a.diagram.empty() && a.diagram != "lanes" && a.diagram != "mermaid")
    return usage("--diagram is drawn as lanes or mermaid");
  if (!a.scenarios.empty()) return play(a);
  if (!a.illustrated.empty()) return illustrate_all(a);
  if (a.exhaustive) {
    if (!explore::known(a.options.protocol)) return usage("--exhaustive wants raft or paxos");
    if (a.options.nodes > 5) return usage("--exhaustive wants at most five nodes");
    return explore_all(a);
  }
  const auto protocol = registry::find(a.options.protocol);
  if (!protocol) return usage(protocol.error());
  a.options.factory = (*protocol)->make;
  a.options.rejoin = (*protocol)->rejoin;
  a.options.leaders = (*protocol)->family == registry::Family::replicated_log;
  if (!make_workload_model(a.options.model)) return usage("no model is called " + a.options.model);
  const auto parsed = FaultSet::parse(faults);
  if (!parsed) return usage(parsed.error());
  a.options.faults = *parsed;
  const auto joined = FaultSet::parse(together);
  if (!joined) return usage(joined.error());
  a.options.together = *joined;
  if ((joined->bits() & ~parsed->bits()) != 0) return usage("--together wants kinds that --faults has");
  if (a.options.pairs && !joined->empty()) return usage("--pairs and --together exclude each other");
  if (!parse_range(seeds, a)) return usage("--seeds wants a number or A..B");
  if (!keep.empty() && !parse_list(keep, a.options.keep.emplace())) return usage("--keep wants numbers");
  if (!crash_at.empty() && !(a.options.crash = parse_crash_point(crash_at)))
    return usage("--crash-at wants OPERATION,AGAIN,SURVIVAL");
  if (a.crash_points) return enumerate(a);
  return a.replay ? replay(a) : Sweep(a).run();
}

}  // namespace quorate::sim
