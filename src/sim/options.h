// What a run is made of. Together with the seed it decides everything that happens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/replicated_log.h"
#include "sim/clock.h"
#include "sim/coverage.h"
#include "sim/faults.h"
#include "storage/memory_disk.h"

namespace quorate::sim {

// Where the power of a node is cut, for the enumeration of crash_points.h. Operations are those that
// change its disk, and flushes of its state: a cut at a read finds the same bytes as one at the next write.
struct CrashPoint {
  using Survival = storage::MemoryDisk::Survival;
  std::uint64_t operation = 0;  // from 1; 0: nowhere
  std::uint64_t again = 0;      // so many operations later once more; 0: not
  Survival survival = Survival::any;
  std::uint32_t node = 0;  // its slot
};

struct Options {
  std::string protocol = "raft";
  std::string model = "register";
  replicated_log::Factory factory;
  replicated_log::Rejoin rejoin = nullptr;  // none: a node whose log is damaged refuses
  bool leaders = true;                      // its leaders are of epochs, and its log its own: judge them too
  std::uint32_t nodes = 0;                  // at the beginning; 0: the seed draws 3 to 5
  std::uint32_t keys = 0;                   // 0: the seed draws 1 to 4
  std::uint32_t operations = 500;
  FaultSet faults = FaultSet::usual();
  FaultSet together;   // of the faults these are in effect at one time in each run
  bool pairs = false;  // these two are of each seed's own: pair_of()
  std::optional<std::vector<std::uint32_t>> keep;  // of the planned faults only these, by their number
  std::optional<CrashPoint> crash;
  bool lease_reads = false;       // all reads; otherwise the seed decides
  bool lasting = false;           // each run has a partial partition that lasts, where it can
  bool behind = false;            // in each run a member falls behind and catches up under load, where it can
  bool damaged_majority = false;  // no quorum is spared by damage: safety holds, who can not go on waits
  std::uint64_t most_events = 20'000'000;  // a run that has more does not end
  // After healing, something must be committed, and each member must serve a write and a read.
  Duration commit_bound = 1500ms;  // ten election time-outs
  Duration recovery_bound = 3s;
};

// What came of a partial partition that lasted (lasting_partition.h).
struct Lasting {
  std::uint8_t shape = 0;          // from 1; 0: there was none
  Duration pause{};                // the longest without a commit
  std::uint64_t late_leaders = 0;  // that came behind its first half
};

struct Result {
  std::uint64_t seed = 0;
  bool ok = false;
  std::string property;    // that was violated
  std::string failure;     // in words
  std::uint64_t hash = 0;  // of everything that happened: equal for equal runs
  std::uint64_t events = 0;
  Moment simulated{};
  Duration recovery{};      // from healing until every member served
  Duration first_commit{};  // from healing until something new was committed
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;
  std::uint64_t epochs = 0;
  std::uint64_t rejoined = 0;  // logs that were damaged and given up for what others had
  // Nodes whose newest acknowledged writes their disk lost, which no log can see: they took no further part.
  std::uint64_t silent_losses = 0;
  // With Options::damaged_majority:
  bool waits = false;         // at the end no quorum held what it must, and nobody went on
  std::uint64_t refused = 0;  // nodes that did not start again, and said why
  std::vector<Fault> plan;
  Overlaps faults;
  Lasting lasting;
  // With Options::crash:
  std::uint64_t storage_operations = 0;   // of the node
  std::uint64_t recovery_operations = 0;  // of its first start after a cut
  std::uint32_t cuts = 0;
  std::uint32_t leader = 0;  // the slot of who led when the clients had asked for everything
};

}  // namespace quorate::sim
