// What disks do wrong, at an access or at rest.
#include "sim/world.h"

namespace quorate::sim {

namespace {
using Survival = storage::MemoryDisk::Survival;
using DiskFault = storage::MemoryDisk::FaultKind;

// Up to where a file was written: most of a preallocated one is empty.
std::uint64_t written(std::string_view contents) {
  const std::size_t last = contents.find_last_not_of('\0');
  return last == std::string_view::npos ? 1 : last + 1;
}
}  // namespace

void World::disk_fault(std::uint32_t number, Node& node, Duration down, Rng& rng) {
  const Fault& fault = plan_[number];
  DiskFaults::Armed armed{.number = number, .struck = [this, number] { took_effect(number); }};
  // One that waits for its effect begins again soon: the node is back before that.
  const auto restart = [&] {
    stop_node(node, Survival::cached, "killed",
              fault.insists ? rng.between(Duration(1ms), Duration(20ms)) : down);
  };
  const auto distance = [&rng] {
    return rng.chance(0.5) ? 512 * rng.between(1, 40) : rng.between(1, 20'000);
  };
  switch (fault.kind) {
    case FaultKind::power_cut:
      armed.kind = DiskFault::power_cut;
      armed.skip = rng.below(6);
      break;
    case FaultKind::full_disk:
      armed.kind = DiskFault::full;
      armed.lasting = true;
      break;
    case FaultKind::io_error: {
      using enum DiskFaults::Armed::Where;
      static constexpr DiskFaults::Armed::Where places[] = {writes, writes, writes, directory,
                                                            names,  names,  reads,  anywhere};
      armed.kind = DiskFault::io_error;
      armed.lasting = fault.intensity < 0.3;
      armed.where = places[rng.below(std::size(places))];
      if (!armed.lasting && armed.where != directory) armed.skip = rng.below(6);
      // A log is read at a start only, and has little to do with names but then.
      const bool at_start = armed.where == reads || armed.where == names || armed.where == anywhere;
      if (at_start && (fault.insists || rng.chance(0.7))) restart();
      break;
    }
    case FaultKind::failed_directory_sync:
      armed.kind = DiskFault::failed_sync;
      armed.where = DiskFaults::Armed::Where::directory;
      if (fault.insists || rng.chance(0.5)) restart();
      if (rng.chance(0.5)) power_fails_next(node, armed, rng);
      break;
    case FaultKind::failed_sync:
      armed.kind = DiskFault::failed_sync;
      armed.skip = rng.below(3);
      break;
    case FaultKind::misdirected_write:
      armed.kind = DiskFault::misdirected;
      armed.skip = rng.below(6);
      armed.detail = (distance() + 511) / 512 * 512;  // disks write whole sectors
      break;
    case FaultKind::lost_write:
      armed.kind = DiskFault::lost;
      armed.skip = rng.below(6);
      break;
    case FaultKind::misdirected_read:
    case FaultKind::stale_read:
      restart();
      armed.kind = fault.kind == FaultKind::stale_read ? DiskFault::stale : DiskFault::misdirected;
      armed.where = DiskFaults::Armed::Where::reads;
      armed.skip = rng.below(8);
      armed.detail = distance();
      break;
    default: return damage_at_rest(number, node, down, rng);
  }
  node.disk_faults().arm(std::move(armed));
}

// What is wrong with a disk, its power supply often is, too: soon behind the fault, where a restart relies on
// what it finds.
void World::power_fails_next(Node& node, DiskFaults::Armed& fault, Rng& rng) {
  fault.struck = [&node, struck = std::move(fault.struck), number = fault.number, skip = rng.below(6)] {
    struck();
    node.disk_faults().arm({.kind = DiskFault::power_cut, .skip = skip, .number = number});
  };
}

void World::damage_at_rest(std::uint32_t number, Node& node, Duration down, Rng& rng) {
  const Fault& fault = plan_[number];
  if (fault.kind == FaultKind::bit_flip && !fault.insists && node.up() && rng.chance(0.3)) {
    const std::uint64_t skip = rng.below(6);
    return node.disk_faults().arm({.kind = DiskFault::flipped,
                                   .skip = skip,
                                   .detail = rng.next(),
                                   .number = number,
                                   .struck = [this, number] { took_effect(number); }});
  }
  stop_node(node, Survival::cached, "killed", down);
  if (fault.kind == FaultKind::lost_file && rng.chance(0.3)) {  // the state's directory
    node.disk_faults().lies().told(Lies::Kind::state);
    node.lose_state();
    return took_effect(number);
  }
  auto files = node.disk().list();
  if (!files || files->empty()) return;
  const std::string name = (*files)[rng.below(files->size())];
  if (fault.kind == FaultKind::lost_file) {
    node.disk_faults().lies().lost_file(name);
    if (!node.disk().remove(name) || !node.disk().sync_directory()) return;
  } else if (const auto size = node.disk().contents(name).size(); size != 0) {
    // Most of a preallocated file is empty: aim at its front as often as anywhere.
    std::uint64_t reach = rng.chance(0.7) ? std::min<std::uint64_t>(size, 3000) : size;
    if (options_.damaged_majority) reach = written(node.disk().contents(name));
    const std::uint64_t offset = rng.below(reach);
    Lies& lies = node.disk_faults().lies();
    if (fault.kind == FaultKind::unreadable_sector) {
      lies.told(Lies::Kind::unreadable);
      node.disk().spoil(name, offset);
    } else if (fault.kind == FaultKind::misread_sector) {
      lies.told(Lies::Kind::misplaced);
      node.disk().spoil(name, offset, rng.below(reach));
    } else {
      lies.told(Lies::Kind::flip);
      node.disk().flip_bit(name, offset, static_cast<unsigned>(rng.below(8)));
    }
  } else {
    return;
  }
  took_effect(number);
}

}  // namespace quorate::sim
