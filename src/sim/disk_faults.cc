#include "sim/disk_faults.h"

namespace quorate::sim {

bool DiskFaults::fits(Disk::Operation operation) const {
  using Op = Disk::Operation;
  using Kind = Disk::FaultKind;
  switch (armed_) {
    case Kind::none: return false;
    case Kind::io_error: return operation == Op::write || operation == Op::sync || operation == Op::allocate;
    case Kind::full: return operation == Op::write || operation == Op::allocate || operation == Op::create;
    case Kind::failed_sync: return operation == Op::sync;
    case Kind::lost: return operation == Op::write;
    case Kind::misdirected: return operation == (reads_ ? Op::read : Op::write);
    case Kind::flipped: return operation == (reads_ ? Op::read : Op::write);
    case Kind::stale: return operation == Op::read;
    case Kind::power_cut: return operation != Op::read && operation != Op::list && operation != Op::open;
  }
  return false;
}

bool DiskFaults::lies(Disk::FaultKind kind) {
  using Kind = Disk::FaultKind;
  return kind == Kind::lost || kind == Kind::misdirected || kind == Kind::flipped || kind == Kind::stale;
}

}  // namespace quorate::sim
