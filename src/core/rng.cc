#include "core/rng.h"

namespace quorate {

__extension__ using Wide = unsigned __int128;

Rng::Rng(std::uint64_t seed) : state_{} {
  for (auto& word : state_) {  // splitmix64
    seed += 0x9e3779b97f4a7c15U;
    std::uint64_t z = seed;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    word = z ^ (z >> 31U);
  }
}

// Multiply-shift with rejection (Lemire 2019): unbiased, one multiplication in the common case.
std::uint64_t Rng::below(std::uint64_t bound) {
  auto product = static_cast<Wide>(next()) * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < threshold) {
      product = static_cast<Wide>(next()) * bound;
    }
  }
  return static_cast<std::uint64_t>(product >> 64U);
}

std::uint64_t Rng::between(std::uint64_t low, std::uint64_t high) {
  const std::uint64_t span = high - low;
  return span == UINT64_MAX ? next() : low + below(span + 1);
}

Duration Rng::between(Duration low, Duration high) {
  return low +
         Duration(static_cast<std::int64_t>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
}

}  // namespace quorate
