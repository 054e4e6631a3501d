#include "sim/read_judge.h"

#include <fmt/format.h>

#include "quorum/quorum.h"

namespace quorate::sim {

std::optional<std::string> ReadJudge::ready(NodeId node, const Asked& asked, Index index, bool leads,
                                            Instant now, const Membership& membership,
                                            const replicated_log::Settings& settings) const {
  if (index < asked.least)
    return fmt::format(
        "node {} calls a read ready at index {}, but only {} is late enough for when it was asked",
        node.value, index.value, asked.least.value);
  if (!leads) return std::nullopt;
  if (asked.latest > asked.leads)
    return fmt::format("node {} confirms a read as leader of epoch {}, but epoch {} had one before",
                       node.value, asked.leads.value, asked.latest.value);
  const auto& known = confirmed_[node.value - 1];
  const Micros round = quorum::agreed(membership, micros(now), [&](NodeId id) {
    return id == node ? micros(now) : id.value <= most_nodes ? known[id.value - 1] : 0;
  });
  if (round >= micros(asked.at)) return std::nullopt;
  if (asked.mode == replicated_log::ReadMode::lease) {
    constexpr std::int64_t million = 1'000'000;
    const std::int64_t age = std::int64_t{micros(now)} - round - 1;  // the stamps were rounded down
    const std::int64_t bound = settings.election_timeout / std::chrono::microseconds(1);
    if (age * (million + settings.max_clock_drift_ppm) < bound * million) return std::nullopt;
  }
  return fmt::format(
      "node {} confirms a read by a quorum that heard of it {} us ago at least, the read came {} us ago",
      node.value, micros(now) - round, micros(now) - micros(asked.at));
}

}  // namespace quorate::sim
