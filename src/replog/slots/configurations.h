// Who takes part in which slot. A membership decided in slot i is in force from slot i + alpha on, where
// alpha is the width of the window in which proposals run ahead of the decided prefix (Lamport, "The
// Part-Time Parliament", 1998, §3.3.5, with alpha = 3; Lamport, Malkhi, Zhou, "Reconfiguring a State
// Machine", 2010). Every node knows who takes part in a slot before it opens it, since it has decided all
// slots up to slot - alpha.
#pragma once

#include <optional>
#include <vector>

#include "replog/slots/messages.h"

namespace quorate::slots {

class Configurations {
 public:
  explicit Configurations(std::uint64_t alpha) : alpha_(alpha) {}

  void reset(std::vector<Configuration> list) { list_ = std::move(list); }
  // The membership decided in slot `at`. False, and void for every node, while an earlier one is not yet in
  // force: so there is at most one change under way at any slot.
  bool add(Index at, Membership membership);
  // Forgets what is not in force at `index` or behind it.
  void trim(Index index);

  [[nodiscard]] const Configuration* in_force(Index slot) const;
  [[nodiscard]] const Configuration* latest() const { return list_.empty() ? nullptr : &list_.back(); }
  // A change decided but not in force at `slot`.
  [[nodiscard]] const Configuration* pending(Index slot) const;
  [[nodiscard]] std::vector<Configuration> decided_upto(Index index) const;
  [[nodiscard]] const std::vector<Configuration>& list() const { return list_; }
  [[nodiscard]] bool empty() const { return list_.empty(); }

 private:
  std::uint64_t alpha_;
  std::vector<Configuration> list_;  // ascending by decided_at, and so by from
};

// A membership that can be worked with: at least one voter, members sorted, each once, none joint.
[[nodiscard]] bool well_formed(const Membership& membership);

}  // namespace quorate::slots
