#include "replog/slots/configurations.h"

#include <algorithm>

namespace quorate::slots {

bool Configurations::add(Index at, Membership membership) {
  if (!list_.empty() && list_.back().from > at) return false;
  list_.push_back({at, at + alpha_, std::move(membership)});
  return true;
}

void Configurations::trim(Index index) {
  while (list_.size() > 1 && list_[1].from <= index) list_.erase(list_.begin());
}

const Configuration* Configurations::in_force(Index slot) const {
  const Configuration* found = nullptr;
  for (const auto& configuration : list_) {
    if (configuration.from <= slot) found = &configuration;
  }
  return found;
}

const Configuration* Configurations::pending(Index slot) const {
  return !list_.empty() && list_.back().from > slot ? &list_.back() : nullptr;
}

std::vector<Configuration> Configurations::decided_upto(Index index) const {
  std::vector<Configuration> found;
  std::ranges::copy_if(list_, std::back_inserter(found),
                       [&](const auto& c) { return c.decided_at <= index; });
  return found;
}

bool well_formed(const Membership& membership) {
  const auto& members = membership.members;
  const bool ascending = std::ranges::adjacent_find(members, [](const Member& a, const Member& b) {
                           return a.id >= b.id;
                         }) == members.end();
  return ascending && membership.outgoing.empty() && membership.departing.empty() &&
         !membership.voters().empty() && !members.front().id.none();
}

}  // namespace quorate::slots
