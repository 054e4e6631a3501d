// The agreements of the open slots behind one protocol's effects: timers, tickets and records carry their
// slot, and come back to it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/agreement.h"
#include "replog/slots/messages.h"

namespace quorate::slots {

// Makes the agreement of one slot from what was recovered of it. Its timer ids are below 256.
using AgreementFactory =
    std::function<std::unique_ptr<agreement::Protocol>(const agreement::Settings&, Recovered)>;

class Instances {
 public:
  struct Decision {
    Index slot;
    Bytes value;
  };

  // Takes the records of slots out of `records`; the others stay.
  Instances(AgreementFactory factory, NodeId self, Duration round_trip, std::map<RecordKey, Bytes>& records);

  // Timers with an id below this are not of a slot.
  static constexpr std::uint64_t first_timer = 256;

  void open(Env& env, Index slot, std::vector<NodeId> members, Out& out);
  [[nodiscard]] bool contains(Index slot) const { return slots_.contains(slot); }
  [[nodiscard]] bool empty() const { return slots_.empty(); }
  [[nodiscard]] Index highest() const { return slots_.empty() ? Index() : slots_.rbegin()->first; }
  [[nodiscard]] Index lowest() const { return slots_.empty() ? Index() : slots_.begin()->first; }
  // Slots with records from an earlier start that are not open yet.
  [[nodiscard]] std::vector<Index> recovered() const;

  void propose(Env& env, Index slot, Bytes value, Out& out);
  void receive(Env& env, Index slot, NodeId from, Bytes message, Out& out);
  void timer(Env& env, TimerId id, Out& out);
  void persisted(Env& env, Ticket upto, Out& out);

  // Ends every slot up to `last`; its timers are cancelled, and the writes that erase its records returned.
  [[nodiscard]] std::vector<Write> erase_upto(Index last, Out& out);
  [[nodiscard]] std::vector<Write> erase(Index slot, Out& out);

  [[nodiscard]] std::vector<Decision> take_decisions() { return std::exchange(decisions_, {}); }
  // An instance that cannot make sense of its own records: this node must not go on.
  [[nodiscard]] const std::optional<std::string>& damage() const { return damage_; }
  // Of every instance as of its last step: to ask them all at each step would take longer than the step.
  [[nodiscard]] const std::optional<std::string>& check_invariants() const { return broken_; }
  [[nodiscard]] std::string describe() const;

 private:
  struct Instance {
    std::unique_ptr<agreement::Protocol> protocol;
    std::deque<std::pair<Ticket, Ticket>> tickets;  // the instance's and the log's, not yet durable
    std::vector<std::pair<Ticket, Bytes>> held;     // decisions that wait for a ticket of the log
    std::set<TimerId> timers;
    std::set<RecordKey> records;
  };
  void step(Env& env, Index slot, agreement::Protocol::In input, Out& out);
  void translate(Index slot, Instance& instance, Out& out);
  void check(Index slot, const Instance& instance);

  AgreementFactory factory_;
  NodeId self_;
  Duration round_trip_;
  std::map<Index, std::map<RecordKey, Bytes>> recovered_;
  std::map<Index, Instance> slots_;
  std::deque<std::pair<Ticket, Index>> durable_next_;  // whom to tell when a ticket of the log is durable
  std::vector<Decision> decisions_;
  std::optional<std::string> damage_;
  std::optional<std::string> broken_;
};

}  // namespace quorate::slots
