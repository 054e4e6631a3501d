#include "sim/sim_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "sim/faults.h"

namespace quorate::sim {
namespace {

constexpr std::uint64_t many = ~std::uint64_t{0};

// The options of one heading of the help page.
class Heading {
 public:
  Heading(CLI::App& app, std::string title) : app_(&app), title_(std::move(title)) {}

  template <class Value>
  CLI::Option* value(const std::string& name, Value& into, const std::string& type, const std::string& help) {
    return app_->add_option(name, into, help)->type_name(type)->group(title_);
  }
  template <class Value>
  void number(const std::string& name, Value& into, std::uint64_t least, std::uint64_t most,
              const std::string& help) {
    auto* option = app_->add_option(name, into, help)->capture_default_str()->type_name("N")->group(title_);
    if (most != many) option->check(CLI::Range(least, most));
  }
  // Several at once, separated by commas.
  template <class Value>
  void list(const std::string& name, Value& into, const std::string& help) {
    app_->add_option(name, into, help)->delimiter(',')->type_name("ID,...")->group(title_);
  }
  CLI::Option* flag(const std::string& name, bool& into, const std::string& help) {
    return app_->add_flag(name, into, help)->group(title_);
  }

 private:
  CLI::App* app_;
  std::string title_;
};

void define_runs(CLI::App& app, Arguments& a) {
  Heading runs(app, "Options");
  runs.value("--protocol", a.options.protocol, "NAME", "raft or paxos")->capture_default_str();
  runs.value("--model", a.options.model, "NAME", "the state machine: register or etcd")
      ->capture_default_str();
  runs.value("--seeds", a.seeds, "A..B", "a range, or one")->capture_default_str();
  runs.number("--nodes", a.options.nodes, 0, 9, "at the beginning; 0: the seed decides");
  runs.number("--keys", a.options.keys, 0, 20, "how many; 0: the seed decides");
  runs.number("--ops", a.options.operations, 0, many, "client operations a seed");
  runs.flag("--leases", a.options.lease_reads, "serve all reads under the leader's lease");
  runs.flag("--lasting", a.options.lasting, "each run has a partial partition that lasts");
  runs.flag("--behind", a.options.behind, "each run has a member that was away and catches up under load");
  runs.number("--jobs", a.jobs, 1, 256, "threads");
  runs.number("--failures", a.most_failures, 1, many, "stop after so many");
  runs.value("--for", a.seconds, "SECONDS", "stop after so many; 0: never")->capture_default_str();
  runs.flag("--verbose", a.verbose, "a line for each seed");
  runs.flag("--json", a.json, "a JSON object for each seed");
  runs.flag("--twice", a.twice, "run each seed twice and compare");
}

void define_faults(CLI::App& app, Arguments& a) {
  Heading faults(app, "Faults");
  faults.value("--faults", a.faults, "KIND,...", "which may happen; all, none; -KIND leaves one out")
      ->capture_default_str();
  faults.value("--together", a.together, "KIND,...", "kinds that are in effect at one time in each seed");
  faults.flag(
      "--pairs", a.options.pairs,
      "two kinds are in effect at one time in each seed; as many seeds as there are pairs have them all");
  faults.flag(
      "--damaged-majority", a.options.damaged_majority,
      "the disks of most or all nodes may be damaged: nothing may go wrong, but all may have to wait");
  faults.flag("--coverage", a.coverage,
              "count how often each two kinds were in effect at once; with --json as one object");
  faults.flag("--crash-points", a.crash_points,
              "cut the power of the leader, and of a follower, at each storage operation, and at each of its "
              "recovery");
  faults.number("--stride", a.stride, 1, 1'000'000, "with --crash-points: only every so many-th operation");
  faults.value("--crash-at", a.crash_at, "OPERATION,AGAIN,SURVIVAL,NODE", "one of these crash points");
}

void define_one_run(CLI::App& app, Arguments& a) {
  Heading one(app, "A failing run");
  one.value("--replay", a.replay, "SEED", "run one seed and tell its faults");
  one.value("--trace", a.trace, "FILE", "with --replay: write everything that happened as JSON");
  one.value("--keep", a.keep, "NUMBER,...", "only these of the planned faults; none");
  one.flag("--shrink", a.shrink, "make a failing run as small as it gets");
}

void define_documents(CLI::App& app, Arguments& a) {
  Heading documents(app, "Scenarios, instead of seeds");
  documents.value("--scenario", a.scenarios, "FILE...", "play them and compare with their golden traces");
  app.add_flag("--diagram{lanes}", a.diagram,
               "with --scenario: print a sequence diagram; --diagram=mermaid for Markdown")
      ->group("Scenarios, instead of seeds");
  documents.value("--illustrate", a.illustrated, "FILE...",
                  "compare the diagrams in these documents with the scenarios they are drawn from");
  documents.flag("--rewrite", a.rewrite, "with --scenario, --illustrate: write what happened into the files");
}

void define_exploration(CLI::App& app, Arguments& a) {
  Heading all(app, "Everything that can happen, instead of seeds");
  all.flag("--exhaustive", a.exhaustive,
           "every interleaving of messages, crashes, timers and writes within these bounds");
  auto& bounds = a.bounds;
  all.number("--terms", bounds.terms, 1, 9, "terms, or rounds of ballots");
  all.number("--commands", bounds.commands, 0, 9, "proposals");
  all.number("--crashes", bounds.crashes, 0, 9, "crashes, each with a restart");
  all.number("--timers", bounds.timers, 0, 255, "firings of timers; 255: as often as it makes a difference");
  all.number("--heartbeats", bounds.heartbeats, 0, 9, "firings of leaders' heartbeat timers");
  all.number("--reads", bounds.reads, 0, 3, "linearizable reads");
  all.number("--catch-ups", bounds.catch_ups, 0, 9, "how often a refused candidate takes over another's log");
  all.number("--transfers", bounds.transfers, 0, 9, "leadership transfers, to anybody");
  all.number("--snapshots", bounds.snapshots, 0, 9, "snapshots, each of which cuts a node's log");
  all.number("--damages", bounds.damages, 0, 9, "damaged logs, that are given up for what others have");
  all.number("--ticks", bounds.ticks, 0, 99,
             "half election timeouts that pass, at all nodes alike; reads are by lease then");
  all.number("--late-writes", bounds.late_writes, 0, 9,
             "how many writes of a node may be late at once; others are durable at once, or lost in a crash");
  all.flag("--pre-votes", bounds.pre_votes, "pre-votes are messages, instead of granted at once");
  all.flag("--single-entries", bounds.single_entries, "no message carries more than one entry");
  all.list("--candidates", bounds.candidates, "who alone campaigns in terms (rounds) 1, 2, ...; 0: anybody");
  all.list("--readers", bounds.readers, "who is asked for reads; otherwise anybody");
  all.list("--voters", bounds.voters, "at first, instead of all nodes");
  all.list("--change", bounds.change, "one membership change, to these voters");
  all.number("--max-states", bounds.max_states, 1, 4'000'000'000, "stop after so many");
  all.number("--max-depth", bounds.max_depth, 0, 4'000'000'000, "actions in a row; 0: no limit");
}

std::string notes() {
  std::string text = "KINDS OF FAULTS\n";
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    text +=
        fmt::format("  {:<22} {}{}\n", to_string(kind), describe(kind), beyond_promise(kind) ? " (*)" : "");
  }
  return text + R"(  (*) beyond what is promised: never unless asked for

EXIT STATUS
  0 if all passed, 1 if one failed, 2 for a wrong command line. A failure is one line that ends with the command
  that repeats it.

EXAMPLES
  quorate sim                                             1000 seeds of raft, every fault
  quorate sim --protocol paxos --seeds 1..100 --verbose
  quorate sim --faults partition,power_loss --model etcd
  quorate sim --replay 17 --trace seed17.json             everything that happened in one
  quorate sim --scenario tests/scenarios/raft_figure_8.txt --diagram
  quorate sim --exhaustive --commands 1 --crashes 1)";
}

}  // namespace

void define_options(CLI::App& app, Arguments& arguments) {
  define_runs(app, arguments);
  define_faults(app, arguments);
  define_one_run(app, arguments);
  define_documents(app, arguments);
  define_exploration(app, arguments);
  app.footer(notes());
}

}  // namespace quorate::sim
