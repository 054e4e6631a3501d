// Linearizable reads, judged in the moment in which the protocol calls them ready, and not only by what
// clients happened to see:
//
//  fresh      the index is not behind anything that was committed anywhere when the read was asked; where
//             each read rides on a slot of the log, that slot was not decided before
//  confirmed  a leader's read rests on a round trip that began after it: of a quorum, each heard from the
//             leader something sent since, and was heard saying so; nobody of a later epoch led by then
//  lease      or, where a lease may do, on one that is so young that no clock within the bound on drift lets
//             any of them vote for another yet (Raft thesis §6.4.1)
//
// Who heard what of whom travels with the frames, as a stamp that no node sees. All of it must hold
// whatever the protocol counts.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/membership.h"
#include "core/replicated_log.h"
#include "sim/network.h"

namespace quorate::sim {

class ReadJudge {
 public:
  using Stamp = std::uint64_t;

  // A node sends a frame, at this time of its own clock.
  [[nodiscard]] Stamp stamp(std::uint32_t from, std::uint32_t to, Instant local) const {
    return std::uint64_t{micros(local)} << 32U | heard_[from][to];
  }
  // Another looks at it.
  void arrived(std::uint32_t from, std::uint32_t at, Stamp stamp) {
    const auto raise = [](Micros& mark, std::uint64_t to) { mark = std::max(mark, static_cast<Micros>(to)); };
    raise(heard_[at][from], stamp >> 32U);
    raise(confirmed_[at][from], stamp & 0xffffffffU);
  }

  struct Asked {
    std::uint64_t id = 0;
    replicated_log::ReadMode mode{};
    Instant at{};  // by the clock of the node
    Epoch leads;   // the epoch in which the node leads; none if it does not
    Epoch latest;  // in which anyone leads
    Index least;   // that answers it
  };
  // What is wrong with the answer, of a node that still leads the same epoch if `leads`.
  [[nodiscard]] std::optional<std::string> ready(NodeId node, const Asked& asked, Index index, bool leads,
                                                 Instant now, const Membership& membership,
                                                 const replicated_log::Settings& settings) const;

 private:
  using Micros = std::uint32_t;  // of a node's own clock, which begins within its first hour
  static Micros micros(Instant local) {
    return static_cast<Micros>(local.time_since_epoch() / std::chrono::microseconds(1));
  }
  using Matrix = std::array<std::array<Micros, most_nodes>, most_nodes>;

  Matrix heard_{};      // [a][b]: a heard what b sent then, by the clock of b
  Matrix confirmed_{};  // [a][b]: a was told by b that b heard what a sent then, by the clock of a
};

}  // namespace quorate::sim
