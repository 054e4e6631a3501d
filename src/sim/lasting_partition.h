// A partial partition that lasts, under load: who is cut from whom is drawn once, and stays so, or flaps, for
// twenty election time-outs. The scenarios are those of Ng, Haridi and Carbone, "Omni-Paxos" (EuroSys 2023),
// section 2, and one-way and flapping links. In each some voter keeps links, both ways and all the time, to a
// quorum of voters; so commits must go on, or begin again within a bound, and the leaders must not take turns
// for ever (protocols.md's "every log protocol must regain progress when one node is quorum-connected").
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "sim/clients.h"
#include "sim/node.h"
#include "sim/stage.h"

namespace quorate::sim {

class LastingPartition {
 public:
  enum class Shape : std::uint8_t {
    quorum_loss,  // all links are lost but those of one node, the hub; the leader lives, and reaches it alone
    constrained_election,  // the same; the leader is gone, and the hub's log is behind all others
    chain,                 // each reaches its two neighbours
    one_way,               // of all links but the hub's to a quorum, some are cut in one direction, or both
    flapping,              // the same, and each of them again and again
  };

  // `voters`: who votes, all that have a process, and how many vote in all; one of them is `leader`. From now
  // on each is asked for writes, until the clients stop.
  LastingPartition(Stage& stage, Clients& clients, Rng rng, std::vector<Node*> voters, std::size_t of,
                   const Node& leader);

  // False if so few voters can not be parted like this; nothing has happened then.
  [[nodiscard]] bool possible() const { return possible_; }
  // To be called every 10 ms. False when it is over and all links are as before.
  bool go_on();

 private:
  enum class Part : std::uint8_t { load, lag, parted };
  using Link = std::pair<std::uint32_t, std::uint32_t>;  // from, to: slots

  void cut(std::uint32_t from, std::uint32_t to);
  void part(std::uint32_t one, std::uint32_t other);  // both ways
  void mend();
  void keep_only_hub();
  void make_chain();
  void break_some();
  void flap();
  void begin(Part part, Duration lasts);
  void judge();
  [[nodiscard]] bool quorum_connected() const;

  Stage* stage_;
  Rng rng_;
  std::vector<Node*> voters_;
  std::size_t of_;
  const Node* leader_;
  Node* hub_ = nullptr;
  Shape shape_;
  bool possible_ = false;
  Part now_ = Part::load;
  Moment until_{};
  Moment cut_at_{};
  std::vector<Link> cuts_;
  struct Loose {
    Link link;
    bool cut = false;
    Moment next{};
  };
  std::vector<Loose> loose_;
  Index committed_;
  Moment committed_at_{};
  std::uint64_t leaderships_ = 0;  // at the beginning of the second half
  bool half_over_ = false;
};

[[nodiscard]] const char* to_string(LastingPartition::Shape shape);

}  // namespace quorate::sim
