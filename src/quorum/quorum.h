// Quorum arithmetic: majorities, joint majorities, and the index or count a quorum agrees on. Pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <vector>

#include "core/ids.h"
#include "core/membership.h"

namespace quorate::quorum {

constexpr std::size_t majority(std::size_t n) { return n / 2 + 1; }

enum class Tally : std::uint8_t { pending, won, lost };

// `vote(id)`: 1 for yes, 0 for none yet, -1 for no. An empty set has won: it asks nobody.
template <class Vote>
Tally tally(const std::vector<NodeId>& voters, Vote&& vote) {
  std::size_t yes = 0;
  std::size_t no = 0;
  for (const NodeId id : voters) {
    const int v = vote(id);
    if (v > 0) ++yes;
    if (v < 0) ++no;
  }
  if (yes >= majority(voters.size()) || voters.empty()) return Tally::won;
  return voters.size() - no < majority(voters.size()) ? Tally::lost : Tally::pending;
}

// Separate majorities of the new and, while joint, the outgoing voters (Raft thesis §4.3).
template <class Vote>
Tally tally(const Membership& membership, Vote&& vote) {
  const Tally incoming = tally(membership.voters(), vote);
  const Tally outgoing = tally(membership.outgoing, vote);
  if (incoming == Tally::lost || outgoing == Tally::lost) return Tally::lost;
  return incoming == Tally::won && outgoing == Tally::won ? Tally::won : Tally::pending;
}

// Whether these are the voters of the new configuration, in order.
inline bool are_voters(std::span<const NodeId> ids, const Membership& membership) {
  std::size_t at = 0;
  for (const Member& member : membership.members) {
    if (member.role != Role::voter) continue;
    if (at == ids.size() || ids[at++] != member.id) return false;
  }
  return at == ids.size();
}

// The greatest value that a majority of `voters` has reached; `reached(id)` gives each one's.
// Called for every acknowledgement, so it allocates only for sets of unusual size.
template <class T, class Reached>
T agreed(const std::vector<NodeId>& voters, T if_empty, Reached&& reached) {
  if (voters.empty()) return if_empty;
  std::array<T, 16> few;
  std::vector<T> many;
  if (voters.size() > few.size()) many.resize(voters.size());
  const auto values =
      voters.size() > few.size() ? std::span<T>(many) : std::span<T>(few).first(voters.size());
  std::ranges::transform(voters, values.begin(), reached);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(values.size() - majority(values.size()));
  std::ranges::nth_element(values, nth);
  return *nth;
}

// The greatest value that both majorities of a joint membership have reached.
template <class T, class Reached>
T agreed(const Membership& membership, T if_empty, Reached&& reached) {
  const auto incoming = membership.voters();
  if (membership.outgoing.empty()) return agreed(incoming, if_empty, reached);
  if (incoming.empty()) return agreed(membership.outgoing, if_empty, reached);
  return std::min(agreed(incoming, if_empty, reached), agreed(membership.outgoing, if_empty, reached));
}

// Byzantine: n >= 3f + 1.
constexpr std::size_t byzantine_faults(std::size_t n) { return n == 0 ? 0 : (n - 1) / 3; }
constexpr std::size_t byzantine_quorum(std::size_t n) { return n - byzantine_faults(n); }

}  // namespace quorate::quorum
