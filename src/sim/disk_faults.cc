#include "sim/disk_faults.h"

namespace quorate::sim {

namespace {

using Disk = storage::MemoryDisk;

bool changes(Disk::Operation operation) {
  using Op = Disk::Operation;
  return operation != Op::read && operation != Op::list && operation != Op::open;
}

bool error_fits(DiskFaults::Armed::Where where, Disk::Operation operation) {
  using Op = Disk::Operation;
  using Where = DiskFaults::Armed::Where;
  switch (where) {
    case Where::writes: return operation == Op::write || operation == Op::sync || operation == Op::allocate;
    case Where::reads: return operation == Op::read;
    case Where::directory: return operation == Op::sync_directory;
    case Where::names:
      return operation == Op::open || operation == Op::create || operation == Op::rename ||
             operation == Op::remove || operation == Op::list;
    case Where::anywhere: return true;
  }
  return false;
}

bool fits(const DiskFaults::Armed& fault, Disk::Operation operation) {
  using Op = Disk::Operation;
  using Kind = Disk::FaultKind;
  const bool reads = fault.where == DiskFaults::Armed::Where::reads;
  const bool directory = fault.where == DiskFaults::Armed::Where::directory;
  switch (fault.kind) {
    case Kind::none: return false;
    case Kind::io_error: return error_fits(fault.where, operation);
    case Kind::full: return operation == Op::write || operation == Op::allocate || operation == Op::create;
    case Kind::failed_sync: return operation == (directory ? Op::sync_directory : Op::sync);
    case Kind::lost: return operation == Op::write;
    case Kind::misdirected: return operation == (reads ? Op::read : Op::write);
    case Kind::flipped: return operation == (reads ? Op::read : Op::write);
    case Kind::stale: return operation == Op::read;
    case Kind::power_cut: return changes(operation);
  }
  return false;
}

bool is_lie(Disk::FaultKind kind) {
  using Kind = Disk::FaultKind;
  return kind == Kind::lost || kind == Kind::misdirected || kind == Kind::flipped || kind == Kind::stale;
}

// A bit that flips in a write lies there wrong as if it had flipped later.
Lies::Kind lie_of(Disk::FaultKind kind) {
  return kind == Disk::FaultKind::flipped ? Lies::Kind::flip : Lies::Kind::write;
}

}  // namespace

void DiskFaults::disarm(std::uint32_t number) {
  std::erase_if(armed_, [&](const Armed& fault) { return fault.number == number; });
}

// The first that fits strikes; the others wait for the next access.
Disk::Fault DiskFaults::operator()(const Disk::Access& access) {
  if (changes(access.operation)) ++operations_;
  for (auto it = armed_.begin(); it != armed_.end(); ++it) {
    if (!fits(*it, access.operation)) continue;
    if (it->skip != 0) {
      --it->skip;
      continue;
    }
    const Disk::Fault fault{it->kind, it->detail};
    const auto tell = it->struck;
    if (!it->lasting) armed_.erase(it);
    if (!is_lie(fault.kind)) {
      struck_ = true;
    } else if (access.operation == Disk::Operation::read) {
      lies_.misread();
    } else {
      lies_.told(lie_of(fault.kind));
    }
    if (tell) tell();  // which may arm another
    return fault;
  }
  return {};
}

}  // namespace quorate::sim
