#include "explore/explore.h"

#include <algorithm>

#include <fmt/format.h>

#include "explore/explorer.h"
#include "explore/paxos_subject.h"
#include "explore/raft_subject.h"

namespace quorate::explore {

bool known(const std::string& protocol) {
  return protocol == PaxosSubject::name || protocol == RaftSubject::name;
}

Report explore(const std::string& protocol, const Bounds& bounds) {
  return protocol == PaxosSubject::name ? Explorer<PaxosSubject>(bounds).run()
                                        : Explorer<RaftSubject>(bounds).run();
}

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
      "{}: {} states, {} transitions ({} beyond the terms), depth {}, {} states of single nodes, {}; "
      "{} violations; {:.2f} M states a second, {:.1f} s\n",
      protocol, report.states, report.transitions, report.beyond, report.depth, report.node_states, end,
      report.violation ? 1 : 0, static_cast<double>(report.states) / 1e6 / std::max(seconds, 1e-3), seconds);
  return out;
}

}  // namespace quorate::explore
