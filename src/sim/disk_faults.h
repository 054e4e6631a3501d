// Decides, access by access, what a node's disk does wrong.
#pragma once

#include <cstdint>

#include "storage/memory_disk.h"

namespace quorate::sim {

class DiskFaults {
 public:
  using Disk = storage::MemoryDisk;

  // Goes wrong once, at the `skip`-th access from now that the fault fits.
  void once(Disk::FaultKind kind, std::uint64_t skip, std::uint64_t detail) {
    armed_ = kind;
    skip_ = skip;
    detail_ = detail;
    lasting_ = false;
  }
  // Goes wrong at every access that the fault fits, until disarm().
  void lasting(Disk::FaultKind kind) {
    once(kind, 0, 0);
    lasting_ = true;
  }
  void aim_at_reads(bool reads) { reads_ = reads; }  // misdirected and flipped: a read, else a write
  void disarm() { armed_ = Disk::FaultKind::none; }
  [[nodiscard]] bool armed() const { return armed_ != Disk::FaultKind::none; }

  // True once anything went wrong since the last forget(): an excuse to stop, or not to start.
  [[nodiscard]] bool struck() const { return struck_ || tampered_; }
  void forget() { struck_ = false; }
  // True once the disk lied, which may show much later: an excuse for the log to be damaged.
  [[nodiscard]] bool tampered() const { return tampered_; }
  void tamper() { tampered_ = true; }

  Disk::Fault operator()(const Disk::Access& access) {
    if (armed_ == Disk::FaultKind::none || !fits(access.operation)) return {};
    if (skip_ != 0) {
      --skip_;
      return {};
    }
    const Disk::Fault fault{armed_, detail_};
    if (!lasting_) armed_ = Disk::FaultKind::none;
    struck_ = true;
    if (lies(fault.kind)) tampered_ = true;
    return fault;
  }

 private:
  [[nodiscard]] bool fits(Disk::Operation operation) const;
  static bool lies(Disk::FaultKind kind);

  Disk::FaultKind armed_ = Disk::FaultKind::none;
  std::uint64_t skip_ = 0;
  std::uint64_t detail_ = 0;
  bool lasting_ = false;
  bool struck_ = false;
  bool tampered_ = false;
  bool reads_ = false;
};

}  // namespace quorate::sim
