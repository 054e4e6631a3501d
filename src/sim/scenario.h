// Schedules told step by step: text files with commands and, below each, what happened, as the golden trace.
//
//   # comment                           kept as it is
//   protocol raft                       nodes 5 [learners 4,5]
//   batch 1                             entries travel one by one (bytes of a message)
//   timeout 1                           node 1's clock moves on to its next timer, which fires
//   campaign 1                          the same until it sends something, as for an election
//   advance 1,2 300ms                   their clocks move on; nothing fires
//   deliver 1->2 [COUNT]                the oldest messages on the link, all if no count is given
//   drop 1->2                           everything on the link is lost
//   settle                              everything is delivered until nothing is on its way
//   partition 1,2 | 3,4,5               messages between groups are lost until `heal`
//   hold 2  /  release 2                node 2's writes stay in flight / become durable
//   propose 1 text                      read 1 [lease]         transfer 1 2
//   reconfigure 1 1,2,3 [learners 4]
//   crash 2  /  restart 2               what is not durable is lost
//   state [1]                           one line a node
//   expect leader 1 | expect no leader | expect committed 2 a b c | expect nothing committed 2
//
// Writes are durable at once unless held. A command's output follows it behind a line "----". A failed
// expectation stands in the output as "FAILED ...", which no golden trace may hold.
#pragma once

#include <string>
#include <string_view>

namespace quorate::sim {

struct ScenarioResult {
  std::string text;     // the scenario with the outputs that this run gave
  bool failed = false;  // an expectation failed, or a command is not understood
};

// Runs the commands of `text`; outputs in it are ignored.
[[nodiscard]] ScenarioResult run_scenario(std::string_view text);

}  // namespace quorate::sim
