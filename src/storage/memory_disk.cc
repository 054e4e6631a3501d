#include "storage/memory_disk.h"

#include <algorithm>
#include <utility>

namespace quorate::storage {
namespace {

const char* name_of(MemoryDisk::Operation operation) {
  switch (operation) {
    case MemoryDisk::Operation::open: return "open";
    case MemoryDisk::Operation::create: return "create";
    case MemoryDisk::Operation::read: return "read";
    case MemoryDisk::Operation::write: return "write";
    case MemoryDisk::Operation::sync: return "fdatasync";
    case MemoryDisk::Operation::allocate: return "fallocate";
    case MemoryDisk::Operation::truncate: return "truncate";
    case MemoryDisk::Operation::rename: return "rename";
    case MemoryDisk::Operation::remove: return "remove";
    case MemoryDisk::Operation::list: return "list";
    case MemoryDisk::Operation::sync_directory: return "fsync";
  }
  return "?";
}

std::unexpected<IoError> failure(IoErrorKind kind, MemoryDisk::Operation operation, std::string_view file,
                                 const char* why) {
  return std::unexpected(
      IoError{kind, std::string(name_of(operation)) + " " + std::string(file) + ": " + why});
}

void overlay(std::string& bytes, std::uint64_t offset, std::string_view data) {
  if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
  data.copy(bytes.data() + offset, data.size());  // one memmove: most of a simulation's disk time is here
}

void flip(std::string& bytes, std::uint64_t bit) {
  if (bytes.empty()) return;
  bit %= bytes.size() * 8;
  bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1U << (bit % 8)));
}

}  // namespace

// A file: what is seen, what is durable, and what was done in between, in order.
struct MemoryDisk::Inode {
  struct Change {
    bool resize = false;  // to `offset`; otherwise `data` written at `offset`
    std::uint64_t offset = 0;
    std::string data;
  };
  std::string bytes;
  std::string durable;
  std::vector<Change> changes;
  std::uint64_t undo_offset = 0;  // what the last write replaced
  std::string undo_bytes;
  std::map<std::uint64_t, std::optional<std::uint64_t>> spoiled;  // sectors, and what is read instead

  void write(std::uint64_t offset, std::string data) {
    spoiled.erase(spoiled.lower_bound(offset / sector),
                  spoiled.lower_bound((offset + data.size() + sector - 1) / sector));
    undo_offset = offset;
    undo_bytes = offset < bytes.size() ? bytes.substr(offset, data.size()) : std::string();
    overlay(bytes, offset, data);
    changes.push_back({false, offset, std::move(data)});
  }
  void resize(std::uint64_t to) {
    if (to < bytes.size()) spoiled.erase(spoiled.lower_bound(to / sector), spoiled.end());
    bytes.resize(to);
    changes.push_back({true, to, {}});
  }
  void sync() {
    for (const auto& change : changes) {
      if (change.resize) {
        durable.resize(change.offset);
      } else {
        overlay(durable, change.offset, change.data);
      }
    }
    changes.clear();
  }
  // What a read from `offset` finds in the sectors that are bad; false if one can not be read at all.
  [[nodiscard]] bool spoil(std::uint64_t offset, std::string& read) const {
    const auto end = spoiled.lower_bound((offset + read.size() + sector - 1) / sector);
    for (auto it = spoiled.lower_bound(offset / sector); it != end; ++it) {
      if (!it->second) return false;
      std::string shown = *it->second < bytes.size() ? bytes.substr(*it->second, sector) : std::string();
      shown.resize(sector);
      const std::uint64_t from = std::max(it->first * sector, offset);
      const std::uint64_t length = std::min((it->first + 1) * sector, offset + read.size()) - from;
      read.replace(from - offset, length, shown, from % sector, length);
    }
    return true;
  }
  [[nodiscard]] std::string before_last_write() const {
    std::string old = bytes;
    overlay(old, undo_offset, undo_bytes);
    return old;
  }

  // The disk may have written any of it, in any order, sector by sector.
  void settle(Rng& rng, Survival survival) {
    if (survival == Survival::all) sync();
    if (survival == Survival::any || survival == Survival::reordered) {
      for (const auto& change : changes) keep_some(rng, change, survival == Survival::reordered);
    }
    if (survival == Survival::torn) keep_front(rng);
    changes.clear();
    bytes = durable;
    undo_bytes.clear();
  }

 private:
  // Everything up to a sector's end within one of the changes, and nothing behind it.
  void keep_front(Rng& rng) {
    if (changes.empty()) return;
    const std::uint64_t last = rng.below(changes.size());
    for (std::uint64_t i = 0; i <= last; ++i) {
      const Change& change = changes[i];
      if (change.resize) {
        durable.resize(change.offset);
        continue;
      }
      std::uint64_t keep = change.data.size();
      if (i == last) {
        const std::uint64_t sectors = (change.offset + keep) / sector - change.offset / sector;
        const std::uint64_t end = (change.offset / sector + rng.below(sectors + 1)) * sector;
        keep = end > change.offset ? end - change.offset : 0;
      }
      if (keep != 0) overlay(durable, change.offset, std::string_view(change.data).substr(0, keep));
    }
  }

  void keep_some(Rng& rng, const Change& change, bool sectors_apart) {
    if (change.resize) {
      if (rng.chance(0.5)) durable.resize(change.offset);
      return;
    }
    // Mostly whole or gone, as most writes are; else each sector has its own fate, or a prefix is kept.
    const auto fate = sectors_apart ? 3 : rng.below(4);
    if (fate == 0) return;
    if (fate == 1) return overlay(durable, change.offset, change.data);
    const std::uint64_t prefix = fate == 2 ? rng.below(change.data.size() + 1) : UINT64_MAX;
    for (std::uint64_t at = 0; at < change.data.size();) {
      const std::uint64_t length = std::min(sector - (change.offset + at) % sector, change.data.size() - at);
      const bool kept = fate == 2 ? at + length <= prefix : rng.chance(0.5);
      if (kept) overlay(durable, change.offset + at, std::string_view(change.data).substr(at, length));
      at += length;
    }
  }
};

class MemoryDisk::MemoryFile final : public File {
 public:
  MemoryFile(MemoryDisk& disk, std::shared_ptr<Inode> inode, std::string name)
      : disk_(&disk), inode_(std::move(inode)), name_(std::move(name)), life_(disk.life_) {}

  IoResult<std::string> read(std::uint64_t offset, std::size_t length) override {
    auto fault = begin(Operation::read, offset, length);
    if (!fault) return std::unexpected(fault.error());
    if (fault->kind == FaultKind::misdirected) offset += fault->detail;
    const bool stale = fault->kind == FaultKind::stale;
    const std::string old = stale ? inode_->before_last_write() : std::string();
    const std::string& from = stale ? old : inode_->bytes;
    std::string out = offset < from.size() ? from.substr(offset, length) : std::string();
    if (!inode_->spoil(offset, out))
      return failure(IoErrorKind::failed, Operation::read, name_, "Input/output error");
    if (fault->kind == FaultKind::flipped) flip(out, fault->detail);
    return out;
  }

  IoResult<void> write(std::uint64_t offset, std::string_view data) override {
    auto fault = begin(Operation::write, offset, data.size());
    if (!fault) return std::unexpected(fault.error());
    const auto size = inode_->bytes.size();
    if (offset + data.size() > size && disk_->used() + (offset + data.size() - size) > disk_->capacity_) {
      return failure(IoErrorKind::full, Operation::write, name_, "No space left on device");
    }
    std::string copy(data);
    if (fault->kind == FaultKind::flipped) flip(copy, fault->detail);
    if (fault->kind == FaultKind::misdirected) {
      offset += fault->detail;
      if (offset >= size) return {};
      copy.resize(std::min<std::uint64_t>(copy.size(), size - offset));
    }
    if (fault->kind != FaultKind::lost) inode_->write(offset, std::move(copy));
    return end(*fault, Operation::write);
  }

  IoResult<void> sync() override {
    auto fault = begin(Operation::sync, 0, 0);
    if (!fault) return std::unexpected(fault.error());
    if (fault->kind == FaultKind::failed_sync) {
      inode_->changes.clear();  // the pages are clean now, as the kernel sees them, and never were written
      return failure(IoErrorKind::failed_sync, Operation::sync, name_, "Input/output error");
    }
    if (fault->kind == FaultKind::power_cut) return end(*fault, Operation::sync);
    if (fault->kind != FaultKind::lost) inode_->sync();
    return {};
  }

  IoResult<void> allocate(std::uint64_t wanted) override {
    auto fault = begin(Operation::allocate, 0, wanted);
    if (!fault) return std::unexpected(fault.error());
    const auto size = inode_->bytes.size();
    if (wanted > size) {
      if (disk_->used() + (wanted - size) > disk_->capacity_) {
        return failure(IoErrorKind::full, Operation::allocate, name_, "No space left on device");
      }
      inode_->resize(wanted);
    }
    return end(*fault, Operation::allocate);
  }

  IoResult<void> truncate(std::uint64_t wanted) override {
    auto fault = begin(Operation::truncate, 0, wanted);
    if (!fault) return std::unexpected(fault.error());
    inode_->resize(wanted);
    return end(*fault, Operation::truncate);
  }

  IoResult<std::uint64_t> size() override {
    if (!alive())
      return failure(IoErrorKind::failed, Operation::read, name_, "the process that opened it is dead");
    return inode_->bytes.size();
  }

 private:
  [[nodiscard]] bool alive() const { return life_ == disk_->life_ && !disk_->dead_; }
  IoResult<Fault> begin(Operation operation, std::uint64_t offset, std::uint64_t length) {
    if (!alive()) return failure(IoErrorKind::failed, operation, name_, "the process that opened it is dead");
    return disk_->begin(operation, name_, offset, length);
  }
  IoResult<void> end(const Fault& fault, Operation operation) {
    if (fault.kind != FaultKind::power_cut) return {};
    return failure(IoErrorKind::failed, operation, name_, "power cut");
  }

  MemoryDisk* disk_;
  std::shared_ptr<Inode> inode_;
  std::string name_;
  std::uint64_t life_;
};

MemoryDisk::MemoryDisk() = default;
MemoryDisk::~MemoryDisk() = default;

IoResult<MemoryDisk::Fault> MemoryDisk::begin(Operation operation, std::string_view file,
                                              std::uint64_t offset, std::uint64_t length) {
  ++accesses_;
  if (dead_) return failure(IoErrorKind::failed, operation, file, "power cut");
  if (!hook_) return Fault{};
  const Fault fault = hook_({operation, file, offset, length, accesses_});
  switch (fault.kind) {
    case FaultKind::io_error: return failure(IoErrorKind::failed, operation, file, "Input/output error");
    case FaultKind::full: {
      const bool grows =
          operation == Operation::write || operation == Operation::allocate || operation == Operation::create;
      if (grows) return failure(IoErrorKind::full, operation, file, "No space left on device");
      return Fault{};
    }
    case FaultKind::power_cut: dead_ = true; return fault;
    default: return fault;
  }
}

void MemoryDisk::apply(Names& names, const NameChange& change) {
  switch (change.operation) {
    case Operation::create: names[change.to] = change.inode; break;
    case Operation::remove: names.erase(change.from); break;
    default: {  // rename: only of what is there, where an earlier change of the same name was lost
      const auto it = names.find(change.from);
      if (it == names.end() || it->second != change.inode) return;
      names.erase(it);
      names[change.to] = change.inode;
    }
  }
}

void MemoryDisk::change(NameChange change) {
  apply(names_, change);
  if (!clean_.empty()) changes_.insert(changes_.begin(), clean_.begin(), clean_.end());
  clean_.clear();
  changes_.push_back(std::move(change));
}

IoResult<std::unique_ptr<File>> MemoryDisk::open(const std::string& name) {
  auto fault = begin(Operation::open, name, 0, 0);
  if (!fault) return std::unexpected(fault.error());
  if (dead_) return failure(IoErrorKind::failed, Operation::open, name, "power cut");
  const auto it = names_.find(name);
  if (it == names_.end())
    return failure(IoErrorKind::not_found, Operation::open, name, "No such file or directory");
  return std::make_unique<MemoryFile>(*this, it->second, name);
}

IoResult<std::unique_ptr<File>> MemoryDisk::create(const std::string& name) {
  auto fault = begin(Operation::create, name, 0, 0);
  if (!fault) return std::unexpected(fault.error());
  if (names_.contains(name)) return failure(IoErrorKind::exists, Operation::create, name, "File exists");
  auto inode = std::make_shared<Inode>();
  change({Operation::create, {}, name, inode});
  if (dead_) return failure(IoErrorKind::failed, Operation::create, name, "power cut");
  return std::make_unique<MemoryFile>(*this, std::move(inode), name);
}

IoResult<void> MemoryDisk::rename(const std::string& from, const std::string& to) {
  auto fault = begin(Operation::rename, from, 0, 0);
  if (!fault) return std::unexpected(fault.error());
  const auto it = names_.find(from);
  if (it == names_.end())
    return failure(IoErrorKind::not_found, Operation::rename, from, "No such file or directory");
  change({Operation::rename, from, to, it->second});
  if (dead_) return failure(IoErrorKind::failed, Operation::rename, from, "power cut");
  return {};
}

IoResult<void> MemoryDisk::remove(const std::string& name) {
  auto fault = begin(Operation::remove, name, 0, 0);
  if (!fault) return std::unexpected(fault.error());
  const auto it = names_.find(name);
  if (it == names_.end())
    return failure(IoErrorKind::not_found, Operation::remove, name, "No such file or directory");
  change({Operation::remove, name, {}, it->second});
  if (dead_) return failure(IoErrorKind::failed, Operation::remove, name, "power cut");
  return {};
}

IoResult<std::vector<std::string>> MemoryDisk::list() {
  auto fault = begin(Operation::list, {}, 0, 0);
  if (!fault) return std::unexpected(fault.error());
  if (dead_) return failure(IoErrorKind::failed, Operation::list, {}, "power cut");
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_) names.push_back(name);
  return names;
}

IoResult<void> MemoryDisk::sync_directory() {
  auto fault = begin(Operation::sync_directory, {}, 0, 0);
  if (!fault) return std::unexpected(fault.error());
  if (dead_) return failure(IoErrorKind::failed, Operation::sync_directory, {}, "power cut");
  if (fault->kind == FaultKind::failed_sync) {
    clean_.insert(clean_.end(), changes_.begin(), changes_.end());
    changes_.clear();
    return failure(IoErrorKind::failed_sync, Operation::sync_directory, {}, "Input/output error");
  }
  if (fault->kind == FaultKind::lost) return {};
  for (const auto& change : changes_) apply(durable_, change);
  changes_.clear();
  return {};
}

void MemoryDisk::crash(Rng& rng, Survival survival) {
  if (survival == Survival::cached && dead_) survival = Survival::any;
  if (survival == Survival::cached) {
    ++life_;
    return;
  }
  // Half the time in order, as a journaling file system does it; else each change has its own fate.
  const bool in_order = survival == Survival::torn || (survival == Survival::any && rng.chance(0.5));
  const std::uint64_t prefix = in_order ? rng.below(changes_.size() + 1) : UINT64_MAX;
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    bool kept = survival == Survival::all;
    if (survival != Survival::all && survival != Survival::none)
      kept = in_order ? i < prefix : rng.chance(0.5);
    if (kept) apply(durable_, changes_[i]);
  }
  changes_.clear();
  clean_.clear();
  names_ = durable_;
  for (auto& [name, inode] : names_) inode->settle(rng, survival);
  dead_ = false;
  ++life_;
}

std::string MemoryDisk::contents(const std::string& name) const { return names_.at(name)->bytes; }

void MemoryDisk::set_contents(const std::string& name, std::string bytes) {
  auto& inode = *names_.at(name);
  inode.bytes = inode.durable = std::move(bytes);
  inode.changes.clear();
}

void MemoryDisk::flip_bit(const std::string& name, std::uint64_t offset, unsigned bit) {
  auto& inode = *names_.at(name);
  inode.sync();
  flip(inode.bytes, offset * 8 + bit);
  flip(inode.durable, offset * 8 + bit);
}

void MemoryDisk::spoil(const std::string& name, std::uint64_t offset, std::optional<std::uint64_t> instead) {
  if (instead) *instead = *instead / sector * sector;
  names_.at(name)->spoiled[offset / sector] = instead;
}

bool MemoryDisk::spoiled() const {
  return std::ranges::any_of(names_, [](const auto& file) { return !file.second->spoiled.empty(); });
}

bool MemoryDisk::shows_unwritten() const {
  return std::ranges::any_of(names_, [](const auto& file) {
    return file.second->changes.empty() && file.second->bytes != file.second->durable;
  });
}

std::unique_ptr<MemoryDisk> MemoryDisk::clone() const {
  auto copy = std::make_unique<MemoryDisk>();
  for (const auto& [name, inode] : names_) {
    auto twin = std::make_shared<Inode>();
    twin->bytes = twin->durable = inode->bytes;
    copy->names_[name] = copy->durable_[name] = std::move(twin);
  }
  return copy;
}

std::uint64_t MemoryDisk::used() const {
  std::uint64_t total = 0;
  for (const auto& [name, inode] : names_) total += inode->bytes.size();
  return total;
}

}  // namespace quorate::storage
