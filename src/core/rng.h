// The only source of randomness: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. The standard
// library's distributions differ between implementations, so the few that are needed are here.
#pragma once

#include <array>
#include <cstdint>

#include "core/time.h"

namespace quorate {

class Rng {
 public:
  explicit Rng(std::uint64_t seed);

  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound);                      // uniform in [0, bound); bound > 0
  std::uint64_t between(std::uint64_t low, std::uint64_t high);  // uniform in [low, high]
  Duration between(Duration low, Duration high);
  double unit();  // uniform in [0, 1)
  bool chance(double probability) { return unit() < probability; }
  Rng fork() { return Rng(next()); }  // an independent stream

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace quorate
