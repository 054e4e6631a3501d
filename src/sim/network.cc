#include "sim/network.h"

#include <algorithm>

#include "sim/draw.h"

namespace quorate::sim {

void Network::heal() {
  now_ = usual_;
  for (Link& link : links_) link = {0, Moment{}, link.last};
}

Moment Network::arrival(Moment now, Link& link) {
  Moment at = now + now_.latency + exponential(rng_, now_.jitter);
  if (now_.slow > 0 && rng_.chance(now_.slow)) at += rng_.between(Duration(0), now_.slowness);
  at = std::max(at, link.clogged);
  if (now_.reordering > 0 && rng_.chance(now_.reordering)) return at;
  at = std::max(at, link.last);
  link.last = at;
  return at;
}

Network::Fate Network::send(Moment now, std::uint32_t from, std::uint32_t to) {
  Link& on = link(from, to);
  if (on.cuts != 0) return {};
  if (now_.loss > 0 && rng_.chance(now_.loss)) return {};
  Fate fate;
  fate.arrivals[fate.count++] = arrival(now, on);
  if (now_.duplication > 0 && rng_.chance(now_.duplication)) fate.arrivals[fate.count++] = arrival(now, on);
  fate.corrupt = now_.corruption > 0 && rng_.chance(now_.corruption);
  return fate;
}

}  // namespace quorate::sim
