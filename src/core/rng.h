// The only source of randomness: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. The standard
// library's distributions differ between implementations, so the few that are needed are here.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "core/time.h"

namespace quorate {

class Rng {
 public:
  explicit Rng(std::uint64_t seed);

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  std::uint64_t below(std::uint64_t bound);                      // uniform in [0, bound); bound > 0
  std::uint64_t between(std::uint64_t low, std::uint64_t high);  // uniform in [low, high]
  Duration between(Duration low, Duration high);
  double unit() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }  // uniform in [0, 1)
  bool chance(double probability) { return unit() < probability; }
  Rng fork() { return Rng(next()); }  // an independent stream

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace quorate
