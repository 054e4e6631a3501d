// The clients of a run: each issues one operation after the other at some node and writes down what it saw.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "check/history.h"
#include "core/rng.h"
#include "sim/node.h"
#include "sim/stage.h"

namespace quorate::sim {

class Clients {
 public:
  // `pick` names the node for the next operation, none if there is nobody to ask.
  using Pick = std::function<Node*(Rng&)>;
  Clients(Stage& stage, Rng rng, std::uint32_t count, std::uint32_t keys, Duration think, std::uint32_t most,
          Pick pick);

  void begin();
  void wake(std::uint32_t client);  // the client's event is due
  void stop() { stopped_ = true; }  // no more new operations
  void hurry() { think_ = std::min(think_, Duration(2ms)); }
  [[nodiscard]] bool spent() const { return issued_ >= most_; }  // all operations were issued
  [[nodiscard]] bool idle() const { return open_ == 0; }

  // One more client, at `node` alone: it writes and reads until both were served. For the time after healing;
  // asking again for the same node changes nothing.
  void demand(Node& node);
  [[nodiscard]] bool met(const Node& node) const;
  void demand_again();  // what was met counts no longer

  // One more client, which writes at `node` without end, with this mean pause in between; until stop().
  void load(Node& node, Duration pause);

  // So many clients more, each with one operation at this node, now.
  void burst(Node& node, unsigned count);
  [[nodiscard]] std::string unmet(const std::vector<Node*>& nodes) const;

  [[nodiscard]] const check::History& history() const { return history_; }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t unknown() const { return unknown_; }

 private:
  struct Client {
    Rng rng;
    Node* only = nullptr;  // the one node of a demand
    bool wrote = false;    // its progress
    bool done = false;
    bool waiting = false;  // an operation is open
    bool once = false;
    bool steady = false;
    Duration pause = 5ms;  // of a client of one node
  };

  check::Operation draw(std::uint32_t client);
  [[nodiscard]] bool lull();
  void issue(std::uint32_t client, Node& node);
  void operate(Node& node, std::size_t at, bool run);
  void write(std::uint32_t client, Node& node, std::size_t at);
  void read(std::uint32_t client, Node& node, std::size_t at);
  enum class End : std::uint8_t { answered, unknown, nothing };
  void end(std::uint32_t client, std::size_t at, End how);
  void again(std::uint32_t client);
  static End of(replica::Failure failure);

  Stage* stage_;
  std::vector<Client> clients_;
  std::uint32_t keys_;
  Duration think_;
  std::uint32_t most_;
  std::uint32_t issued_ = 0;
  Pick pick_;
  check::History history_;
  std::vector<bool> void_;  // of history_: reported as not done
  std::uint64_t position_ = 0;
  std::uint32_t open_ = 0;
  bool stopped_ = false;
  Rng lull_rng_;
  bool lulls_ = false;   // at times nobody writes, so that whoever misses something has missed nothing
  bool lull_ = false;    // now
  Moment lull_until_{};  // this state of it
  std::uint64_t acknowledged_ = 0;
  std::uint64_t unknown_ = 0;

 public:
  // The history without what never happened, each write with its place in the log.
  [[nodiscard]] check::History judged() const;
};

}  // namespace quorate::sim
