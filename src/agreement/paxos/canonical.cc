// Counters that only lengthen a delay (attempts_, resends_) are left out: when a timer fires is the
// explorer's choice.
#include "core/canonical.h"

#include <algorithm>

#include "agreement/paxos/paxos.h"

namespace quorate::paxos {

void Paxos::canonical(Canonical& to) const {
  const auto optional = [&](const auto& value) {
    to.number(value ? 1 : 0);
    if (value) to.encoded(*value);
  };
  to.add(settings_.self);
  optional(damage_);
  to.encoded(acceptor_.promised());
  optional(acceptor_.accepted());
  to.ticket(acceptor_.promised_ticket(), durable_);
  to.ticket(acceptor_.accepted_ticket(), durable_);
  to.number(static_cast<std::uint64_t>(phase_));
  optional(wanted_);
  to.encoded(n_);
  if (phase_ == Phase::accepting) to.bytes(value_.view());
  to.ticket(round_ticket_, durable_);
  to.number(round_);
  to.encoded(highest_seen_);
  to.number(preempted_ ? 1 : 0);
  to.number(promises_.size());
  for (const auto& [node, accepted] : promises_) {
    to.add(node);
    optional(accepted);
  }
  to.number(learning_ ? 1 : 0);
  to.number(std::min<std::uint32_t>(polls_, 3));  // asked only whether it is above two
  to.encoded(reported_);
  optional(decided_);
  to.number((timer_set_ ? 1U : 0U) + (patience_set_ ? 2U : 0U));
  to.number(to_self_.size());
  for (const auto& [after, message] : to_self_) {
    to.ticket(after, durable_);
    to.encoded(message);
  }
}

}  // namespace quorate::paxos
