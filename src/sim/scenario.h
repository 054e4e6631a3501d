// Schedules told step by step: text files with commands and, below each, what happened, as the golden trace.
//
//   # comment                           kept as it is; a chapter of the diagram
//   protocol raft                       a replicated log; nodes 5 [learners 4,5]
//   agreement paxos [none]              one value; proposers back off none, randomised or distinguished
//   batch 1  /  keep 2                  bytes of a message; entries kept in memory behind a snapshot
//   timeout 1                           node 1's clock moves on to its next timer, which fires
//   campaign 1                          the same until it sends something, as for an election
//   advance 1,2 300ms                   their clocks move on; nothing fires
//   deliver 1->2 [COUNT]                the oldest messages on the link, all if no count is given
//   drop 1->2 [COUNT]                   they are lost
//   overtake 1->2                       the oldest message falls behind all others on the link
//   settle                              everything is delivered until nothing is on its way
//   partition 1,2 | 3,4,5               messages between groups are lost until `heal`
//   hold 2  /  release 2                node 2's writes stay in flight / become durable
//   crash 2  /  restart 2               what is not durable is lost
//   state [1]                           one line a node
//   show  /  hide                       what follows is, or is not, part of the diagram
// Of logs:
//   propose 1 text                      read 1 [lease]         transfer 1 2
//   reconfigure 1 1,2,3 [learners 4]
//   snapshot 1                          node 1's state is durable as it stands
//   resend 1 3                          node 1 sends 3 the unacknowledged chunks of a snapshot again
//   expect leader 1 | expect no leader | expect committed 2 a b c | expect nothing committed 2
// Of an agreement:
//   propose 1 text                      learn 1
//   expect decided 1 text | expect nothing decided
//
// Writes are durable at once unless held. A command's output follows it behind a line "----". A failed
// expectation stands in the output as "FAILED ...", which no golden trace may hold.
#pragma once

#include <string>
#include <string_view>

#include "sim/theatre/story.h"

namespace quorate::sim {

struct ScenarioResult {
  std::string text;     // the scenario with the outputs that this run gave
  bool failed = false;  // an expectation failed, or a command is not understood
  Story story;          // what is shown of it
};

// Runs the commands of `text`; outputs in it are ignored.
[[nodiscard]] ScenarioResult run_scenario(std::string_view text);

}  // namespace quorate::sim
