// The leader oracle Ω (Chandra, Hadzilacos, Toueg 1996) by heartbeats: who should propose, so that proposers
// do not duel. Only progress rests on it: two leaders, or none, are safe.
//
// A node is eligible if it votes, is not far behind, and exchanges heartbeats both ways with a majority: one
// that cannot reach a majority must not lead (partial connectivity; compare OmniPaxos, EuroSys'23, §5).
// Among the eligible the highest priority leads, then the lowest id. Who comes to lead raises its priority
// above all it has seen, so that a returning lower id does not take leadership away.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/ids.h"
#include "core/time.h"
#include "replog/slots/messages.h"

namespace quorate::slots {

class Omega {
 public:
  struct Peer {
    Instant heard;
    bool forgiven = false;  // since then: this node stood still
    bool hears_me = false;
    bool eligible = false;
    std::uint64_t priority = 0;
    Index decided;         // as of its last heartbeat
    Index decided_before;  // as of the one before
    Index seen;
  };

  Omega(NodeId self, Duration timeout) : self_(self), timeout_(timeout) {}

  void heard(Instant now, NodeId from, const Heartbeat& heartbeat);
  // Asks for leadership at the next evaluation.
  void take_over(std::uint64_t above);
  // So long this node stood still, until `now`: that it heard nobody meanwhile says nothing about them. Once
  // for each silence: one that is always late must find out all the same.
  void forgive(Instant now, Duration stood_still);
  // `ready`: apart from its connections, this node could lead.
  void evaluate(Instant now, const std::vector<NodeId>& voters, bool ready);

  [[nodiscard]] NodeId leader() const { return leader_; }
  [[nodiscard]] bool eligible() const { return eligible_; }
  [[nodiscard]] std::uint64_t priority() const { return priority_; }  // this node's
  [[nodiscard]] std::uint64_t leader_priority() const { return leader_priority_; }
  [[nodiscard]] bool connected(Instant now, NodeId node) const;  // both ways
  [[nodiscard]] std::vector<NodeId> heard_now(Instant now) const;
  [[nodiscard]] const Peer* peer(NodeId node) const;
  [[nodiscard]] const std::map<NodeId, Peer>& peers() const { return peers_; }
  template <class Known>
  void forget_unless(Known&& known) {
    std::erase_if(peers_, [&](const auto& peer) { return !known(peer.first); });
  }

 private:
  NodeId self_;
  Duration timeout_;
  std::map<NodeId, Peer> peers_;
  std::uint64_t priority_ = 0;
  std::uint64_t highest_seen_ = 0;
  bool eligible_ = false;
  NodeId leader_;
  std::uint64_t leader_priority_ = 0;
};

}  // namespace quorate::slots
