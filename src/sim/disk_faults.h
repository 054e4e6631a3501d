// Decides, access by access, what a node's disk does wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

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
    bool reads = false;        // misdirected and flipped: a read, else a write
    bool directory = false;    // an error of the directory's sync, which comes seldom, else of the files'
    std::uint32_t number = 0;  // names it for disarm()
    std::function<void()> struck{};
  };
  void arm(Armed fault) { armed_.push_back(std::move(fault)); }
  void disarm(std::uint32_t number);
  void disarm() { armed_.clear(); }
  [[nodiscard]] bool armed() const { return !armed_.empty(); }

  // True once anything went wrong since the last forget(): an excuse to stop, or not to start.
  [[nodiscard]] bool struck() const { return struck_ || tampered(); }
  void forget() { struck_ = false; }
  // True once the disk lied, which may show much later: an excuse for the log to be damaged.
  [[nodiscard]] bool tampered() const { return tampered_ || flips_ + losses_ != 0; }
  void tamper() { tampered_ = true; }
  // One bit of what lay on the disk flipped, and nothing else was ever wrong with what it holds.
  void flip() { ++flips_; }
  [[nodiscard]] bool flipped_once() const { return !tampered_ && flips_ == 1 && losses_ == 0; }
  // The same of a file of the log that was lost.
  void lose() { ++losses_; }
  [[nodiscard]] bool lost_once() const { return !tampered_ && losses_ == 1 && flips_ == 0; }

  Disk::Fault operator()(const Disk::Access& access);
  [[nodiscard]] std::uint64_t operations() const { return operations_; }  // that change the disk, so far

 private:
  std::vector<Armed> armed_;
  std::uint64_t operations_ = 0;
  bool struck_ = false;
  bool tampered_ = false;
  unsigned flips_ = 0;
  unsigned losses_ = 0;
};

}  // namespace quorate::sim
