// Decides, access by access, what a node's disk does wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/lies.h"
#include "storage/memory_disk.h"

namespace quorate::sim {

class DiskFaults {
 public:
  using Disk = storage::MemoryDisk;

  struct Armed {
    Disk::FaultKind kind = Disk::FaultKind::none;
    std::uint64_t skip = 0;    // so many accesses that it fits pass unharmed
    std::uint64_t detail = 0;  // of MemoryDisk::Fault
    bool lasting = false;      // strikes every such access until it is disarmed, else one
    enum class Where : std::uint8_t {
      writes,     // of an error: writes, syncs and allocations; of what goes astray or flips: writes
      reads,      // the same, of reads
      directory,  // of an error: syncs of the directory, which come seldom
      names,      // of an error: whatever concerns names, which are opened, created, renamed, removed, listed
      anywhere,   // of an error: every access
    } where = Where::writes;
    std::uint32_t number = 0;  // names it for disarm()
    std::function<void()> struck{};
  };
  void arm(Armed fault) { armed_.push_back(std::move(fault)); }
  void disarm(std::uint32_t number);
  void disarm() { armed_.clear(); }
  [[nodiscard]] bool armed() const { return !armed_.empty(); }

  // True once an access failed since the last forget(): an excuse to stop, or not to start.
  [[nodiscard]] bool struck() const { return struck_; }
  void forget() { struck_ = false; }
  // What it did wrong and did not say.
  [[nodiscard]] Lies& lies() { return lies_; }

  Disk::Fault operator()(const Disk::Access& access);
  [[nodiscard]] std::uint64_t operations() const { return operations_; }  // that change the disk, so far

 private:
  std::vector<Armed> armed_;
  std::uint64_t operations_ = 0;
  bool struck_ = false;
  Lies lies_;
};

}  // namespace quorate::sim
