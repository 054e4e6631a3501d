// Who is a member is told by the committed configurations alone: a node takes another for removed, for good,
// only if one up to which it has applied the log has left it out, and an earlier one had it. (Raft thesis
// §4.2.2: a removed server is told so; our nodes then never start again, so a mistake costs a member.)
//
// An id that comes back is legal for whoever applied only the removal. Ids are never used again outside of
// simulations, where this lets a lagging replica be wrong about nobody.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/ids.h"
#include "core/membership.h"

namespace quorate::check {

class Removal {
 public:
  // In force from `index` on; the initial configuration is at index 0.
  void committed(Index index, Membership membership) {
    configurations_.try_emplace(index, std::move(membership));
  }

  // `node` has applied the log up to some index in [from, to], and takes `whom` for removed.
  [[nodiscard]] std::optional<std::string> taken_for_removed(NodeId node, NodeId whom, Index from,
                                                             Index to) const {
    const auto end = configurations_.upper_bound(to);
    auto at = configurations_.upper_bound(from);
    if (at != configurations_.begin()) --at;
    for (; at != end; ++at) {
      if (at->second.find(whom) == nullptr && known_before(at, whom)) return std::nullopt;
    }
    return "node " + to_string(node) + ", which has applied entries up to " + to_string(from) +
           ", takes node " + to_string(whom) + " for removed; no configuration up to there has removed it";
  }

  // Those that were members once and are none at the end.
  [[nodiscard]] std::vector<NodeId> former() const {
    std::vector<NodeId> out;
    if (configurations_.empty()) return out;
    const Membership& last = configurations_.rbegin()->second;
    for (const auto& [index, membership] : configurations_) {
      for (const Member& member : membership.members) {
        if (last.find(member.id) == nullptr && std::ranges::find(out, member.id) == out.end())
          out.push_back(member.id);
      }
    }
    return out;
  }

 private:
  using Configurations = std::map<Index, Membership>;

  [[nodiscard]] bool known_before(Configurations::const_iterator at, NodeId whom) const {
    return std::any_of(configurations_.begin(), at,
                       [whom](const auto& each) { return each.second.find(whom) != nullptr; });
  }

  Configurations configurations_;
};

}  // namespace quorate::check
