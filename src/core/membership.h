// Who takes part: the voters, during a change also the outgoing voters (joint consensus, Raft thesis §4.3),
// and learners, who receive the log and do not count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/ids.h"

namespace quorate {

enum class Role : std::uint8_t { learner = 0, voter = 1 };

// `context` is the host's (addresses, name); protocols carry it and never look inside.
struct Member {
  NodeId id;
  Role role = Role::voter;
  Bytes context;
  friend bool operator==(const Member&, const Member&) = default;
};
BOOST_DESCRIBE_STRUCT(Member, (), (id, role, context))

// The same nodes in the same roles; both sorted by id. Of contexts the first ones need not agree: each node
// has them from its own configuration.
[[nodiscard]] inline bool same_members(const std::vector<Member>& a, const std::vector<Member>& b) {
  return std::ranges::equal(
      a, b, [](const Member& x, const Member& y) { return x.id == y.id && x.role == y.role; });
}

// `members`, which somebody chose to replace `base`, where `now` is in force: whose context that does not
// change keeps the one it has by now.
[[nodiscard]] inline std::vector<Member> rebased(std::vector<Member> members, const std::vector<Member>& base,
                                                 const std::vector<Member>& now) {
  for (auto& member : members) {
    const auto before = std::ranges::find(base, member.id, &Member::id);
    const auto current = std::ranges::find(now, member.id, &Member::id);
    if (before != base.end() && current != now.end() && member.context == before->context)
      member.context = current->context;
  }
  return members;
}

struct Membership {
  std::vector<Member> members;   // sorted by id: the configuration being moved to, or the stable one
  std::vector<NodeId> outgoing;  // sorted: voters of the old configuration while joint, else empty
  std::vector<Member>
      departing;  // sorted: members of the old configuration alone; still addressed while joint
  friend bool operator==(const Membership&, const Membership&) = default;

  [[nodiscard]] bool joint() const { return !outgoing.empty(); }
  [[nodiscard]] const Member* find(NodeId id) const {
    for (const auto* list : {&members, &departing}) {
      auto it = std::ranges::find(*list, id, &Member::id);
      if (it != list->end()) return &*it;
    }
    return nullptr;
  }
  [[nodiscard]] bool votes(NodeId id) const {
    auto it = std::ranges::find(members, id, &Member::id);
    return (it != members.end() && it->role == Role::voter) || std::ranges::binary_search(outgoing, id);
  }
  [[nodiscard]] std::vector<NodeId> voters() const {  // of the new configuration
    std::vector<NodeId> ids;
    for (const auto& m : members) {
      if (m.role == Role::voter) ids.push_back(m.id);
    }
    return ids;
  }
};
BOOST_DESCRIBE_STRUCT(Membership, (), (members, outgoing, departing))

}  // namespace quorate
