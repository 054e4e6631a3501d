// The network between the nodes: how long a frame takes, whether it arrives, and how often.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/rng.h"
#include "sim/clock.h"

namespace quorate::sim {

inline constexpr std::uint32_t most_nodes = 24;  // that ever take part in one run

class Network {
 public:
  struct Conditions {
    Duration latency = 500us;  // at least
    Duration jitter = 1ms;     // mean of what comes on top
    double loss = 0;
    double duplication = 0;
    double reordering = 0;  // the chance that a frame may be overtaken; otherwise links keep order
    double corruption = 0;
    double slow = 0;  // the chance that a frame takes up to `slowness`
    Duration slowness = 300ms;
  };

  Network(Rng rng, Conditions usual) : usual_(usual), now_(usual), rng_(rng) {}

  [[nodiscard]] Conditions& conditions() { return now_; }
  void adopt_as_usual() { usual_ = now_; }  // what heal() goes back to
  void heal();

  // Cuts nest: a link carries frames while nothing cuts it.
  void cut(std::uint32_t from, std::uint32_t to) { ++link(from, to).cuts; }
  void mend(std::uint32_t from, std::uint32_t to) { --link(from, to).cuts; }
  [[nodiscard]] bool carries(std::uint32_t from, std::uint32_t to) const {
    return links_[from * most_nodes + to].cuts == 0;
  }
  void clog(std::uint32_t from, std::uint32_t to, Moment until) { link(from, to).clogged = until; }

  // What becomes of a frame sent now.
  struct Fate {
    std::array<Moment, 2> arrivals{};
    std::uint32_t count = 0;
    bool corrupt = false;
  };
  Fate send(Moment now, std::uint32_t from, std::uint32_t to);
  [[nodiscard]] Rng& rng() { return rng_; }

 private:
  struct Link {
    int cuts = 0;
    Moment clogged{};
    Moment last{};  // arrival of the newest frame that keeps order
  };
  Link& link(std::uint32_t from, std::uint32_t to) { return links_[from * most_nodes + to]; }
  Moment arrival(Moment now, Link& link);

  Conditions usual_;
  Conditions now_;
  Rng rng_;
  std::vector<Link> links_ = std::vector<Link>(std::size_t{most_nodes} * most_nodes);
};

}  // namespace quorate::sim
