// Fingerprints of log entries and logs, by which replicas are compared without keeping the entries.
#pragma once

#include <cstdint>

#include <xxhash.h>

#include "core/entry.h"

namespace quorate::check {

using Fingerprint = std::uint64_t;

inline Fingerprint combine(Fingerprint chain, Fingerprint next) {
  std::uint64_t z = chain * 0x9e3779b97f4a7c15U + next;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  return z ^ (z >> 27U);
}

// What an entry says, without the epoch it carries: protocols that decide slot by slot may learn the same
// value under different ballots.
inline Fingerprint fingerprint(const Entry& entry) {
  return XXH3_64bits_withSeed(entry.payload.data(), entry.payload.size(),
                              static_cast<std::uint64_t>(entry.kind));
}

}  // namespace quorate::check
