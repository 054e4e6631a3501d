// Who could be elected if every node crashed now and came back with what it knows to be durable, and by whom:
// for properties that must hold under every continuation, and not only under the one that follows.
#pragma once

#include <cstdint>
#include <optional>

#include "check/log_copies.h"

namespace quorate::check {

using NodeSet = std::uint64_t;  // a bit for each id below 64
[[nodiscard]] constexpr NodeSet set_of(NodeId node) { return NodeSet{1} << node.value; }

[[nodiscard]] NodeSet voters(const Membership& membership);
// Separate majorities of both sets while joint.
[[nodiscard]] bool is_quorum(const Membership& membership, NodeSet nodes);

struct Candidacy {
  NodeSet votes = 0;                       // of the voters whose logs do not say more than its own
  const Membership* membership = nullptr;  // by which they are counted
};
// None for who is no voter by its own log, or votes for nobody because it lost entries. Called for each node
// that lags, at each commitment: it allocates nothing.
[[nodiscard]] std::optional<Candidacy> candidacy(const LogCopies& copies, NodeId candidate);
[[nodiscard]] bool could_lead(const LogCopies& copies, NodeId candidate);

}  // namespace quorate::check
