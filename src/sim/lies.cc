#include "sim/lies.h"

#include <algorithm>
#include <string>

#include "storage/wal_format.h"

namespace quorate::sim {

void Lies::lost_file(std::string_view name) {
  told(storage::wal::parse_newest_name(name) ? Kind::note : Kind::segment);
}

void Lies::forget(std::uint64_t upto, bool mended) {
  if (misreads_ != 0) return;  // what was read need not be what lies there
  std::erase_if(lies_, [&](const Lie& lie) {
    const bool lasts = lie.kind == Kind::misplaced || lie.kind == Kind::unreadable;
    return lie.number <= upto && (mended || !lasts);
  });
}

bool Lies::has(Kind kind) const { return std::ranges::find(lies_, kind, &Lie::kind) != lies_.end(); }

bool Lies::log_damaged() const {
  return misread_too_often() || std::ranges::any_of(lies_, [](const Lie& lie) {
           return lie.kind != Kind::state && lie.kind != Kind::unreadable;
         });
}

bool Lies::may_miss(std::uint64_t newest, std::size_t missed, bool torn) const {
  // A bit may have flipped anywhere, a write is known.
  auto anywhere = static_cast<std::size_t>(std::ranges::count(lies_, Kind::flip, &Lie::kind));
  if (missed == 1 && !torn) anywhere = 0;
  anywhere += static_cast<std::size_t>(std::ranges::count(lies_, Kind::misplaced, &Lie::kind));
  anywhere += misreads_ / reads;
  for (std::uint64_t sync = newest - missed + 1; sync <= newest; ++sync) {
    const bool its_own = std::ranges::any_of(
        lies_, [&](const Lie& lie) { return lie.kind == Kind::write && lie.sync == sync; });
    if (its_own) continue;
    if (anywhere == 0) return false;
    --anywhere;
  }
  return true;
}

}  // namespace quorate::sim
