// What is explored, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quorate::explore {

struct Bounds {
  std::uint32_t nodes = 3;
  std::uint64_t terms = 2;     // Raft's terms; the rounds of Paxos's ballots
  std::uint32_t commands = 2;  // proposed, wherever a proposal has an effect
  std::uint32_t crashes = 1;   // in all; each with a restart
  std::uint32_t timers = 3;    // firings in all
  bool duplicates = false;     // a delivered message may come again, any number of times
  std::uint64_t max_states = 3'000'000;
  std::uint32_t max_depth = 0;  // 0: none
};

struct Violation {
  std::string what;
  std::vector<std::string> trace;  // one line an action, from the beginning; no shorter one leads there
};

struct Report {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  std::uint32_t depth = 0;        // of the deepest state
  std::uint64_t node_states = 0;  // different ones of single nodes
  std::uint64_t beyond = 0;       // transitions that led beyond `terms`, not followed
  std::string stopped;            // which limit ended it; empty: the space is exhausted
  std::optional<Violation> violation;
};

}  // namespace quorate::explore
