// What goes wrong in a run, and when: planned from the seed before anything happens, so that a failing run
// can be repeated with some of it left out.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "sim/clock.h"

namespace quorate::sim {

enum class FaultKind : std::uint8_t {
  // The network.
  loss,
  duplication,
  reordering,
  delay,
  clog,        // a link holds everything back for a while, then delivers it
  corruption,  // a frame's bytes flip; the transport's own reader decides what becomes of it
  partition,   // the nodes fall in two groups
  one_way,     // some nodes hear nothing of, or are not heard by, the others
  partial,     // some pairs of nodes can not talk
  flapping,    // a partition that comes and goes
  isolation,   // one that does not lead is cut off, in one direction or both, for once or flapping; and
               // rejoins
  // Clocks and processes.
  drift,             // clocks change their speed within the bound the protocol was told
  clock_jump,        // a clock leaps ahead; all reads of such a run ask a quorum, since leases rest on clocks
  pause,             // a process stands still, its messages wait
  kill,              // a process dies
  power_loss,        // a node dies, and what was not synced is lost, whole or in part
  torn_write,        // the same, and the last write is there up to some 512-byte boundary
  reordered_writes,  // the same, and of what was written between two syncs any sectors are there
  power_cut,         // the same in the midst of a disk access
  restart_all,
  // Disks: the node must stop or refuse to start rather than go on wrong.
  slow_disk,
  full_disk,
  io_error,
  failed_sync,
  failed_directory_sync,
  bit_flip,
  misdirected_write,
  misdirected_read,
  stale_read,
  lost_write,
  lost_file,
  misread_sector,     // from now on, until it is written
  unreadable_sector,  // the same: a latent sector error
  // Operators.
  membership,
  transfer,
  // At revealing moments: see ambush.h.
  leader_hunt,
  hold_back,
  crash_after_send,
  usurper,
  sleeping_leader,
  late_bridge,
  deaf_leader,
  replacement,   // a member's machine is gone for good; an operator puts an empty one in its place
  snapshot_cut,  // a node loses power while it sends or receives a snapshot
  version_skew,  // a node runs a later release for a while, and then the present one on what that one wrote
  // Beyond what the protocols promise to survive; never drawn unless asked for.
  wild_clock,             // a clock runs faster or slower than the bound
  undetected_corruption,  // flipped frames are delivered
};
inline constexpr std::size_t fault_kinds = 47;

std::string_view to_string(FaultKind kind);
std::string_view describe(FaultKind kind);
// Damages what a node had made durable: only nodes whose loss a quorum can bear may suffer it.
[[nodiscard]] bool destructive(FaultKind kind);
[[nodiscard]] bool beyond_promise(FaultKind kind);
[[nodiscard]] bool is_ambush(FaultKind kind);

class FaultSet {
 public:
  static FaultSet usual();  // all that is not beyond the promise
  static FaultSet none() { return {}; }
  // "all", "none", or kinds separated by commas, each with '-' in front to leave it out: "all,-drift".
  static std::expected<FaultSet, std::string> parse(std::string_view list);

  void add(FaultKind kind) { bits_ |= 1ULL << static_cast<unsigned>(kind); }
  void remove(FaultKind kind) { bits_ &= ~(1ULL << static_cast<unsigned>(kind)); }
  [[nodiscard]] bool has(FaultKind kind) const { return (bits_ >> static_cast<unsigned>(kind) & 1U) != 0; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }
  [[nodiscard]] std::vector<FaultKind> kinds() const;
  [[nodiscard]] std::string str() const;
  [[nodiscard]] std::uint64_t bits() const { return bits_; }
  friend bool operator==(FaultSet, FaultSet) = default;

 private:
  std::uint64_t bits_ = 0;
};

// One fault. What `amount` means depends on the kind; `seed` draws the details when it begins.
struct Fault {
  FaultKind kind = FaultKind::loss;
  Moment from{};
  Moment until{};
  double intensity = 0;  // in [0, 1]
  std::uint64_t seed = 0;
  bool insists = false;  // begins again until it was in effect together with each other that insists
};

// A random choice of kinds, each some times, over [0, length).
std::vector<Fault> plan_faults(Rng& rng, FaultSet allowed, Moment length);

// Beside the plan, damage at rest around one moment, enough of it to strike every node; in half of the runs
// all nodes lose power with it, as in a machine room.
void add_damage(Rng& rng, FaultSet allowed, Moment length, std::vector<Fault>& plan);

// Which two kinds are brought together under this seed, so that any C(n, 2) seeds in a row have every two of
// the `n` allowed kinds once. Empty if there are no two.
FaultSet pair_of(std::uint64_t seed, FaultSet allowed);
// Those of `together` in long windows around one moment, insisting; and a few others as plan_faults() has
// them.
std::vector<Fault> plan_together(Rng& rng, FaultSet allowed, FaultSet together, Moment length);

// How long a fault of this kind lasts when nothing asks for more.
Duration usual_length(FaultKind kind, Rng& rng);

std::string to_string(const Fault& fault);

}  // namespace quorate::sim
