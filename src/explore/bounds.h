// What is explored, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"

namespace quorate::explore {

struct Bounds {
  static constexpr std::uint32_t any = 255;  // as often as it makes a difference

  std::uint32_t nodes = 3;
  std::uint64_t terms = 2;     // Raft's terms; the rounds of Paxos's ballots
  std::uint32_t commands = 2;  // proposed, wherever a proposal has an effect
  std::uint32_t crashes = 1;   // in all; each with a restart
  std::uint32_t timers = any;  // firings in all, without the following
  // Of leaders, beside the one with which each begins; and repetitions of reads.
  std::uint32_t heartbeats = 0;
  std::uint32_t reads = 0;      // linearizable ones, asked of any of the readers
  std::uint32_t catch_ups = 0;  // begun after a refused pre-vote (Raft's catch_up.cc)
  std::uint32_t transfers = 0;  // of leadership, asked of whoever leads
  std::uint32_t snapshots = 0;  // after each the log is cut right behind it
  std::uint32_t damages = 0;  // of a node's log, in all; it comes back without its entries (Raft's rejoin.cc)
  // How often time passes, at all nodes alike; 0: it is each node's own. Reads then ask for the lease.
  std::uint32_t ticks = 0;
  // Of one node at a time; other writes are durable with the step that made them.
  std::uint32_t late_writes = 0;
  bool pre_votes = false;                 // as messages; otherwise each is granted at once
  std::vector<std::uint64_t> candidates;  // who alone campaigns in terms (rounds) 1, 2, ...; 0 or empty: all
  std::vector<std::uint64_t> readers;     // empty: all nodes
  std::vector<std::uint64_t> voters;      // at first; empty: all nodes
  std::vector<std::uint64_t> change;      // to these voters, once, whoever leads; empty: no change
  bool single_entries = false;            // one in a message, at most
  std::uint64_t max_states = 3'000'000;
  std::uint32_t max_depth = 0;  // 0: none

  [[nodiscard]] bool may_campaign(NodeId node, std::uint64_t term) const {
    return term > candidates.size() || candidates[term - 1] == 0 || candidates[term - 1] == node.value;
  }
};

struct Violation {
  std::string what;
  std::vector<std::string> trace;  // one line an action, from the beginning; no shorter one leads there
};

struct Report {
  Bounds bounds;
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  std::uint32_t depth = 0;        // of the deepest state
  std::uint64_t node_states = 0;  // different ones of single nodes
  std::uint64_t beyond = 0;       // transitions that led beyond `terms`, not followed
  std::uint64_t bytes = 0;        // of memory, about
  std::string stopped;            // which limit ended it; empty: the space is exhausted
  std::optional<Violation> violation;
};

}  // namespace quorate::explore
