#include "explore/explore.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "explore/explorer.h"
#include "explore/paxos_subject.h"
#include "explore/raft_subject.h"

namespace quorate::explore {

bool known(const std::string& protocol) {
  return protocol == PaxosSubject::name || protocol == RaftSubject::name;
}

Report explore(const std::string& protocol, const Bounds& bounds) {
  const auto run = [&]<class S>() {
    return bounds.nodes <= 3 ? Explorer<S, 3>(bounds).run() : Explorer<S, 5>(bounds).run();
  };
  return protocol == PaxosSubject::name ? run.operator()<PaxosSubject>() : run.operator()<RaftSubject>();
}

namespace {

std::string scope(const Bounds& b) {
  const auto number = [](std::uint32_t n) { return n == Bounds::any ? "any" : std::to_string(n); };
  std::string text =
      fmt::format("{} nodes, {} terms, {} commands, {} crashes, {} timers, {} heartbeats", b.nodes, b.terms,
                  b.commands, b.crashes, number(b.timers), number(b.heartbeats));
  if (b.reads != 0) text += fmt::format(", {} reads", b.reads);
  if (b.catch_ups != 0) text += fmt::format(", {} catch-ups", b.catch_ups);
  if (b.transfers != 0) text += fmt::format(", {} transfers", b.transfers);
  if (b.snapshots != 0) text += fmt::format(", {} snapshots", b.snapshots);
  if (b.damages != 0) text += fmt::format(", {} damages", b.damages);
  if (b.ticks != 0) text += fmt::format(", {} ticks", b.ticks);
  if (b.late_writes != 0) text += fmt::format(", {} late writes a node", b.late_writes);
  if (b.pre_votes) text += ", pre-votes";
  if (b.single_entries) text += ", single entries";
  if (!b.candidates.empty()) text += fmt::format(", candidates {}", fmt::join(b.candidates, ","));
  if (!b.readers.empty()) text += fmt::format(", readers {}", fmt::join(b.readers, ","));
  if (!b.voters.empty()) text += fmt::format(", voters {}", fmt::join(b.voters, ","));
  if (!b.change.empty()) text += fmt::format(", change to {}", fmt::join(b.change, ","));
  return text;
}

}  // namespace

std::string text(const std::string& protocol, const Report& report, double seconds) {
  std::string out;
  if (report.violation) {
    out += "VIOLATED " + report.violation->what + "\n";
    for (std::size_t i = 0; i < report.violation->trace.size(); ++i)
      out += fmt::format("{:>4}  {}\n", i + 1, report.violation->trace[i]);
  }
  const std::string end = report.violation         ? "stopped at the violation"
                          : report.stopped.empty() ? "exhausted"
                                                   : "stopped by " + report.stopped;
  out += fmt::format(
      "{}: {}: {} states, {} transitions ({} beyond the terms), depth {}, {} states of single nodes, {}; "
      "{} violations; {:.2f} M states a second, {:.1f} s, {:.1f} GB\n",
      protocol, scope(report.bounds), report.states, report.transitions, report.beyond, report.depth,
      report.node_states, end, report.violation ? 1 : 0,
      static_cast<double>(report.states) / 1e6 / std::max(seconds, 1e-3), seconds,
      static_cast<double>(report.bytes) / 1e9);
  return out;
}

}  // namespace quorate::explore
