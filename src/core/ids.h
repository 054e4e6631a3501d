// Strong identifiers. Each is a 64-bit number that mixes with no other: an Index never lands where an
// Epoch is wanted. Zero means "none" for all of them: no node, no entry, no durable write.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace quorate {

template <class Tag>
struct Id {
  std::uint64_t value = 0;

  constexpr Id() = default;
  constexpr explicit Id(std::uint64_t v) : value(v) {}
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
  [[nodiscard]] constexpr bool none() const { return value == 0; }
  constexpr explicit operator bool() const { return value != 0; }
};

// Ids that count something in order.
template <class Tag>
struct Ordinal : Id<Tag> {
  using Id<Tag>::Id;
  friend constexpr auto operator<=>(const Ordinal&, const Ordinal&) = default;
  [[nodiscard]] constexpr Ordinal next() const { return Ordinal(this->value + 1); }
  [[nodiscard]] constexpr Ordinal prev() const { return Ordinal(this->value - 1); }
  friend constexpr Ordinal operator+(Ordinal a, std::uint64_t n) { return Ordinal(a.value + n); }
  friend constexpr Ordinal operator-(Ordinal a, std::uint64_t n) { return Ordinal(a.value - n); }
  friend constexpr std::uint64_t operator-(Ordinal a, Ordinal b) { return a.value - b.value; }
  constexpr Ordinal& operator++() {
    ++this->value;
    return *this;
  }
};

using NodeId = Id<struct NodeTag>;          // a node of the cluster
using ClusterId = Id<struct ClusterTag>;    // one per cluster; peers of another cluster are refused
using KeyspaceId = Id<struct KeyspaceTag>;  // a keyspace within a cluster
using TimerId = Id<struct TimerTag>;        // a timer of one protocol instance; setting it again moves it
using Epoch = Ordinal<struct EpochTag>;     // Raft's term, ZAB's epoch, PBFT's view, a ballot's round
using Index = Ordinal<struct IndexTag>;     // a position of the replicated log, from 1
using Ticket = Ordinal<struct TicketTag>;   // sequence of durable writes of one protocol instance, FIFO

template <class Tag>
std::string to_string(const Id<Tag>& id) {
  return std::to_string(id.value);
}

}  // namespace quorate

template <class Tag>
struct std::hash<quorate::Id<Tag>> {
  std::size_t operator()(const quorate::Id<Tag>& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value);
  }
};
template <class Tag>
struct std::hash<quorate::Ordinal<Tag>> {
  std::size_t operator()(const quorate::Ordinal<Tag>& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value);
  }
};
