#include "sim/faults.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include <fmt/format.h>

#include "sim/draw.h"

namespace quorate::sim {

namespace {

struct Row {
  std::string_view name;
  std::string_view what;
  Duration shortest;  // of one occurrence
  Duration longest;
  unsigned most;  // occurrences in a run that has any
};

constexpr std::array<Row, fault_kinds> table{{
    {"loss", "messages are lost", 50ms, 2s, 4},
    {"duplication", "messages arrive twice", 50ms, 2s, 4},
    {"reordering", "messages overtake each other", 50ms, 2s, 4},
    {"delay", "messages take long", 50ms, 2s, 4},
    {"clog", "a link holds messages back, then delivers them all", 20ms, 600ms, 8},
    {"corruption", "frames arrive damaged at the reader of frames", 50ms, 2s, 4},
    {"partition", "the nodes fall in two groups", 50ms, 1200ms, 5},
    {"one_way", "a node is not heard, or hears nothing", 50ms, 1200ms, 5},
    {"partial", "some pairs of nodes can not talk", 50ms, 1200ms, 5},
    {"flapping", "a partition comes and goes", 200ms, 1500ms, 3},
    {"isolation", "a follower is cut off and rejoins", 50ms, 1500ms, 4},
    {"drift", "clocks change speed within the bound", 100ms, 3s, 4},
    {"clock_jump", "a clock leaps ahead", 1ms, 2ms, 5},
    {"pause", "a process stands still", 5ms, 3s, 6},
    {"kill", "a process dies", 1ms, 800ms, 6},
    {"power_loss", "a node loses power, and writes that were not synced", 1ms, 800ms, 6},
    {"torn_write", "a node loses power, its last write is torn at a sector", 1ms, 800ms, 4},
    {"reordered_writes", "a node loses power, any un-synced sectors survive", 1ms, 800ms, 4},
    {"power_cut", "a node loses power within a disk access", 50ms, 800ms, 6},
    {"restart_all", "all nodes lose power", 1ms, 500ms, 2},
    {"slow_disk", "syncs take long", 50ms, 1500ms, 4},
    {"full_disk", "no space is left", 50ms, 800ms, 2},
    {"io_error", "a disk access fails", 50ms, 400ms, 3},
    {"failed_sync", "a sync fails and the writes then look clean", 50ms, 400ms, 3},
    {"failed_directory_sync", "a sync of the directory fails and it then looks clean", 50ms, 400ms, 2},
    {"bit_flip", "a bit flips, stored or while it is written", 1ms, 400ms, 2},
    {"misdirected_write", "a write lands elsewhere", 50ms, 400ms, 2},
    {"misdirected_read", "a read at start comes from elsewhere", 1ms, 400ms, 2},
    {"stale_read", "a read at start misses the last write", 1ms, 400ms, 2},
    {"lost_write", "a write is reported done and never happens", 50ms, 400ms, 2},
    {"lost_file", "a directory entry, of a file of the log or of the state, is gone after a restart", 1ms,
     400ms, 1},
    {"misread_sector", "a sector is read as another one until it is written", 1ms, 400ms, 2},
    {"unreadable_sector", "a sector can not be read until it is written", 1ms, 400ms, 1},
    {"membership", "members are added, removed, replaced", 1ms, 2ms, 6},
    {"transfer", "leadership is handed over", 1ms, 2ms, 5},
    {"leader_hunt", "each new leader is soon cut off, stopped or asked to change members", 300ms, 4s, 4},
    {"hold_back", "messages of one kind, or copies, wait until leadership changes", 100ms, 4s, 4},
    {"crash_after_send", "a node loses power in the step in which it sends", 100ms, 2s, 3},
    {"usurper", "a node loses the leader, then the leader loses the others", 300ms, 1500ms, 4},
    {"sleeping_leader", "a leader stands still and wakes when others lead", 200ms, 1s, 4},
    {"late_bridge", "one that missed much is the only link between the others", 400ms, 2s, 3},
    {"deaf_leader", "a leader hands over, and hears of nothing from then on", 60ms, 500ms, 4},
    {"replacement", "a member's machine is replaced by an empty one", 50ms, 2s, 1},
    {"snapshot_cut", "a node loses power within a snapshot's transfer", 200ms, 3s, 4},
    {"version_skew", "a node runs a later release, then this one again", 50ms, 2s, 4},
    {"wild_clock", "a clock runs faster or slower than the bound", 100ms, 2s, 4},
    {"undetected_corruption", "damaged frames are delivered", 50ms, 1s, 3},
}};

const Row& row(FaultKind kind) { return table[static_cast<std::size_t>(kind)]; }

}  // namespace

std::string_view to_string(FaultKind kind) { return row(kind).name; }
std::string_view describe(FaultKind kind) { return row(kind).what; }

bool destructive(FaultKind kind) {
  return kind >= FaultKind::bit_flip && kind <= FaultKind::unreadable_sector;
}
bool beyond_promise(FaultKind kind) { return kind >= FaultKind::wild_clock; }
bool is_ambush(FaultKind kind) { return kind >= FaultKind::leader_hunt && kind <= FaultKind::deaf_leader; }

FaultSet FaultSet::usual() {
  FaultSet set;
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    if (!beyond_promise(static_cast<FaultKind>(i))) set.add(static_cast<FaultKind>(i));
  }
  return set;
}

std::expected<FaultSet, std::string> FaultSet::parse(std::string_view list) {
  FaultSet set;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    const bool out = name.starts_with('-');
    if (out) name.remove_prefix(1);
    if (name == "all" && !out) {
      set = usual();
    } else if (name != "none" || out) {
      const auto* at = std::ranges::find(table, name, &Row::name);
      if (at == table.end()) return std::unexpected(fmt::format("no fault is called '{}'", name));
      const auto kind = static_cast<FaultKind>(at - table.begin());
      out ? set.remove(kind) : set.add(kind);
    }
  }
  return set;
}

std::vector<FaultKind> FaultSet::kinds() const {
  std::vector<FaultKind> all;
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    if (has(static_cast<FaultKind>(i))) all.push_back(static_cast<FaultKind>(i));
  }
  return all;
}

std::string FaultSet::str() const {
  // The shorter of two ways to say it.
  const FaultSet all = usual();
  if (std::popcount(bits_ & all.bits_) * 2 > std::popcount(all.bits_)) {
    std::string out = "all";
    for (std::size_t i = 0; i < fault_kinds; ++i) {
      const auto kind = static_cast<FaultKind>(i);
      if (has(kind) != all.has(kind)) out += fmt::format(",{}{}", has(kind) ? "" : "-", to_string(kind));
    }
    return out;
  }
  std::string out;
  for (const FaultKind kind : kinds()) {
    if (!out.empty()) out += ',';
    out += to_string(kind);
  }
  return out.empty() ? "none" : out;
}

std::vector<Fault> plan_faults(Rng& rng, FaultSet allowed, Moment length) {
  std::vector<FaultKind> kinds = allowed.kinds();
  if (kinds.empty()) return {};
  // Not all at once in every run: a run with few kinds reaches deeper states (Groce et al., Swarm Testing).
  for (std::size_t i = kinds.size(); i > 1; --i) std::swap(kinds[i - 1], kinds[rng.below(i)]);
  const std::size_t most = std::min<std::size_t>(kinds.size(), 10);
  kinds.resize(rng.between(std::min<std::size_t>(3, most), most));
  // What asks most of the protocols: leaders that do not last.
  const auto hunted = std::ranges::find(kinds, FaultKind::leader_hunt) != kinds.end();
  if (allowed.has(FaultKind::leader_hunt) && !hunted && rng.chance(0.25))
    kinds.push_back(FaultKind::leader_hunt);
  // Half of the runs have a storm: a moment at which every kind that was chosen is in effect. Left to chance,
  // the short ones would hardly ever meet.
  const bool storm = rng.chance(0.5);
  const Moment eye = rng.between(length / 8, length * 7 / 8);
  std::vector<Fault> faults;
  for (const FaultKind kind : kinds) {
    const Row& r = row(kind);
    const std::uint64_t count = rng.between(1, r.most);
    for (std::uint64_t i = 0; i < count; ++i) {
      const Duration lasts = usual_length(kind, rng);
      const Moment from = storm && i == 0 ? std::max(eye - rng.between(Duration(0), lasts), Moment(0))
                                          : rng.between(Duration(0), length);
      faults.push_back({kind, from, std::min(from + lasts, length), rng.unit(), rng.next(), false});
    }
  }
  std::ranges::stable_sort(faults, {}, &Fault::from);
  return faults;
}

void add_damage(Rng& rng, FaultSet allowed, Moment length, std::vector<Fault>& plan) {
  // Mostly what a log is given up for: with the others a node refuses to start, and tries no protocol.
  using enum FaultKind;
  std::vector<FaultKind> kinds = {bit_flip,       bit_flip,       bit_flip,  bit_flip,
                                  misread_sector, misread_sector, lost_file, unreadable_sector};
  std::erase_if(kinds, [&](FaultKind kind) { return !allowed.has(kind); });
  if (kinds.empty()) return;
  const Moment eye = rng.between(length / 4, length);
  const Duration within = log_uniform(rng, 5ms, 1s);
  const auto add = [&](FaultKind kind, Moment from) {
    from = std::min(from, length);
    const Moment until = std::min(from + usual_length(kind, rng), length);
    plan.push_back({kind, from, until, rng.unit(), rng.next(), false});
  };
  if (allowed.has(restart_all) && rng.chance(0.5)) add(restart_all, eye);
  for (std::uint64_t count = rng.between(2, 8); count != 0; --count) {
    const FaultKind kind = kinds[rng.below(kinds.size())];
    add(kind, eye + rng.between(Duration(0), within));
  }
  std::ranges::stable_sort(plan, {}, &Fault::from);
}

FaultSet pair_of(std::uint64_t seed, FaultSet allowed) {
  const std::vector<FaultKind> kinds = allowed.kinds();
  const std::uint64_t count = kinds.size() * (kinds.size() - 1) / 2;
  FaultSet pair;
  if (kinds.size() < 2) return pair;
  // In steps coprime to the number of pairs, so that a few seeds in a row have few kinds in common.
  std::uint64_t stride = count * 618 / 1000 + 1;
  while (std::gcd(stride, count) != 1) ++stride;
  std::uint64_t number = seed % count * stride % count;
  std::size_t first = 0;
  for (std::uint64_t row = kinds.size() - 1; number >= row; --row, ++first) number -= row;
  pair.add(kinds[first]);
  pair.add(kinds[first + 1 + number]);
  return pair;
}

std::vector<Fault> plan_together(Rng& rng, FaultSet allowed, FaultSet together, Moment length) {
  FaultSet others;
  std::vector<FaultKind> rest = allowed.kinds();
  std::erase_if(rest, [&](FaultKind kind) { return together.has(kind); });
  for (std::uint64_t count = rng.below(6); count != 0 && !rest.empty(); --count)
    others.add(rest[rng.below(rest.size())]);
  std::vector<Fault> faults = plan_faults(rng, others, length);
  const Moment eye = rng.between(length / 8, length * 5 / 8);
  for (const FaultKind kind : together.kinds()) {
    const Moment from = std::max(eye - rng.between(Duration(0), Duration(200ms)), Moment(0));
    const Moment until = std::min(eye + log_uniform(rng, 400ms, 2s), length);
    faults.push_back({kind, from, until, rng.unit(), rng.next(), true});
  }
  std::ranges::stable_sort(faults, {}, &Fault::from);
  return faults;
}

Duration usual_length(FaultKind kind, Rng& rng) {
  return log_uniform(rng, row(kind).shortest, row(kind).longest);
}

std::string to_string(const Fault& fault) {
  const auto ms = [](Moment m) { return static_cast<double>(m.count()) / 1e6; };
  return fmt::format("{} from {:.3f} ms to {:.3f} ms, intensity {:.2f}", to_string(fault.kind),
                     ms(fault.from), ms(fault.until), fault.intensity);
}

}  // namespace quorate::sim
