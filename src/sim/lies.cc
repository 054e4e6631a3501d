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

// Of a sync's writes to a file the last is the one of its batch: zeroes go ahead.
void Lies::wrote(Range where) {
  constexpr std::size_t kept = 32;
  const auto same = std::ranges::find_if(
      written_, [&](const Written& each) { return each.sync == sync_ && each.where.file == where.file; });
  if (same != written_.end()) {
    same->where = std::move(where);
    return;
  }
  if (written_.size() == kept) written_.pop_front();
  written_.push_back({sync_, std::move(where)});
}

void Lies::misdirected(Range where) {
  told(Kind::write);
  lies_.back().fell_on = std::move(where);
}

bool Lies::fell_on_writes_of(const Lie& lie, std::uint64_t sync) const {
  return lie.fell_on && sync < lie.sync &&
         std::ranges::any_of(
             written_,
             [&](const Written& each) { return each.sync == sync && each.where.meets(*lie.fell_on); });
}

std::optional<std::size_t> Lies::taken_to_miss(std::uint64_t newest, std::size_t missed, bool torn) const {
  // A bit may have flipped anywhere, a write is known.
  auto anywhere = static_cast<std::size_t>(std::ranges::count(lies_, Kind::flip, &Lie::kind));
  if (missed == 1 && !torn) anywhere = 0;
  anywhere += static_cast<std::size_t>(std::ranges::count(lies_, Kind::misplaced, &Lie::kind));
  anywhere += misreads_ / reads;
  std::size_t taken = 0;
  const Lie* astray = nullptr;  // that is counted already
  for (std::uint64_t sync = newest; sync > newest - missed; --sync) {
    if (astray != nullptr && fell_on_writes_of(*astray, sync)) continue;
    const auto its_own = std::ranges::find_if(
        lies_, [&](const Lie& lie) { return lie.kind == Kind::write && lie.sync == sync; });
    ++taken;
    if (its_own != lies_.end()) {
      astray = &*its_own;
    } else if (anywhere-- == 0) {
      return std::nullopt;
    }
  }
  return taken;
}

}  // namespace quorate::sim
