// Judges a log that Basic Paxos fills slot by slot, from what its nodes make durable, send and execute: the
// rules of check/one_value.h, and that no ballot goes out that a restart would use again.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "check/one_value.h"
#include "core/entry.h"
#include "core/membership.h"

namespace quorate::sim {

class PaxosJudge {
 public:
  using Broken = std::optional<std::string>;

  void started(NodeId node, const Recovered& recovered, const Membership& initial);
  // An acceptor is bound by what it promised and accepted until its own log holds the slot: whoever asks it
  // about the slot is told either (Paxos Made Simple §2.5). To be asked before wrote().
  [[nodiscard]] Broken forgets(NodeId node, const std::vector<Write>& writes);
  [[nodiscard]] Broken wrote(NodeId node, Ticket ticket, const std::vector<Write>& writes);
  void durable(NodeId node, Ticket upto);  // as the node is told
  // "Each proposer remembers (in stable storage) the highest-numbered proposal it has tried to begin" (Paxos
  // Made Simple §2.5).
  [[nodiscard]] Broken sends(NodeId node, const Bytes& frame) const;
  [[nodiscard]] Broken committed(const Entry& entry);  // for the first time, in the order of the slots

 private:
  using Ballot = check::OneValue::Ballot;
  struct Note {  // a record that says something of a slot
    Ticket ticket;
    Index slot;
    Ballot ballot;
    bool accepted = false;  // else the highest round that was begun
  };
  struct Node {
    std::deque<Note> pending;
    std::map<Index, std::uint64_t> rounds;  // durably begun
    Index logged;                           // the end of its log, or of the state in front of it
  };
  Broken note(NodeId node, Ticket ticket, const PutRecord& record);

  check::OneValue values_;
  std::map<NodeId, Node> nodes_;
  struct InForce {
    Index from;
    Membership membership;
  };
  std::deque<InForce> acceptors_;  // ascending; the first is in force
};

}  // namespace quorate::sim
