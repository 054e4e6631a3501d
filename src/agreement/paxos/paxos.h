// Basic Paxos (Lamport, "Paxos Made Simple", 2001): agreement on one value among nodes that may crash and
// recover, over a network that may lose, duplicate, delay and reorder. One object plays proposer, acceptor
// and learner; a node that is not among the members proposes and learns only.
//
// Deviations from the paper, and why: README.md.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agreement/paxos/acceptor.h"
#include "agreement/paxos/messages.h"
#include "core/agreement.h"

namespace quorate {
class Canonical;
}

namespace quorate::paxos {

// What a proposer does when another one's higher ballot stands against it (§2.4: two proposers can keep each
// other from ever finishing).
enum class BackOff : std::uint8_t {
  none,           // tries again at once: may livelock; for the demonstration of it
  randomised,     // waits a random time that doubles with each attempt
  distinguished,  // hands its value to one node, and proposes itself only when that one does not finish
};

struct Options {
  BackOff back_off = BackOff::randomised;
  NodeId distinguished;  // none: the lowest member
};

class Paxos {
 public:
  using Message = paxos::Message;
  using Request = agreement::Request;
  using Event = agreement::Event;
  using In = Input<Message, Request>;

  Paxos(agreement::Settings settings, Options options, const Recovered& recovered);

  void start(Env& env, Out& out);
  void step(Env& env, const In& input, Out& out);
  [[nodiscard]] std::optional<std::string> check_invariants() const;
  [[nodiscard]] std::string describe() const;
  void canonical(Canonical& to) const;
  [[nodiscard]] const std::optional<Bytes>& decided() const { return decided_; }
  [[nodiscard]] std::uint64_t round() const { return round_; }  // the highest this node ever used

  // Which attempt is under way, and so which answers are still listened to.
  enum class Phase : std::uint8_t { idle, preparing, accepting };
  struct Attempt {
    Phase phase = Phase::idle;
    Ballot n;
    bool preempted = false;  // it heard a Nack
  };
  [[nodiscard]] Attempt attempt() const { return {phase_, n_, preempted_}; }

 private:
  // Proposer.
  void propose(Env& env, const Bytes& value, Out& out);
  void begin(Env& env, Out& out);
  void resend(Out& out);
  void retry(Env& env, Out& out);
  void on(Env& env, NodeId from, const Promise& m, Out& out);
  void on(Env& env, NodeId from, const Nack& m, Out& out);
  void on(Env& env, NodeId from, const Relay& m, Out& out);
  // Acceptor.
  void on(Env& env, NodeId from, const Prepare& m, Out& out);
  void on(Env& env, NodeId from, const Accept& m, Out& out);
  void on(Env& env, NodeId from, const Learn& m, Out& out);
  // Learner.
  void learn(Env& env, Out& out);
  void poll(Env& env, Out& out);
  void report(NodeId acceptor, const Proposal& proposal, bool tell, Out& out);
  void decide(const Bytes& value, bool tell, Out& out);
  void on(Env& env, NodeId from, const Accepted& m, Out& out);
  void on(Env& env, NodeId from, const Decided& m, Out& out);

  void dispatch(Env& env, NodeId from, const Message& message, Out& out);
  void hear_self(Env& env, Out& out);
  void send(NodeId to, Message message, Out& out, Ticket after = {});
  void to_others(const Message& message, Out& out, Ticket after = {});
  void schedule(Env& env, Duration delay, Out& out);
  [[nodiscard]] Duration resend_after(Env& env);
  [[nodiscard]] bool member(NodeId node) const;
  [[nodiscard]] NodeId distinguished() const;

  agreement::Settings settings_;
  Options options_;
  Acceptor acceptor_;
  std::optional<std::string> damage_;

  Phase phase_ = Phase::idle;
  std::optional<Bytes> wanted_;  // by this node
  Ballot n_;                     // of the attempt under way
  Bytes value_;                  // proposed in n_, while accepting
  Ticket round_ticket_;          // makes n_ unique across restarts; Prepare waits for it
  std::uint64_t round_ = 0;      // the highest this node ever used
  Ballot highest_seen_;
  bool preempted_ = false;  // a Nack ended n_ as far as this node can tell
  std::uint32_t attempts_ = 0;
  std::uint32_t resends_ = 0;
  std::map<NodeId, std::optional<Proposal>> promises_;

  bool learning_ = false;
  std::uint32_t polls_ = 0;
  std::map<NodeId, Proposal> reported_;  // the highest each acceptor is known to have accepted, durably
  std::optional<Bytes> decided_;

  bool timer_set_ = false;
  bool patience_set_ = false;
  Ticket durable_;
  std::deque<std::pair<Ticket, Message>> to_self_;  // this node's answers to itself wait for its disk too
};

// Behind encoded bytes, for drivers.
[[nodiscard]] std::unique_ptr<agreement::Protocol> make_paxos(const agreement::Settings& settings,
                                                              Recovered recovered, Options options = {});

}  // namespace quorate::paxos
