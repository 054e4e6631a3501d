#include "storage/memory_disk.h"

#include <algorithm>
#include <utility>

#include "storage/memory_inode.h"

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

}  // namespace

class MemoryDisk::MemoryFile final : public File {
 public:
  MemoryFile(MemoryDisk& disk, std::shared_ptr<MemoryInode> inode, std::string name)
      : disk_(&disk), inode_(std::move(inode)), name_(std::move(name)), life_(disk.life_) {}

  IoResult<std::string> read(std::uint64_t offset, std::size_t length) override {
    auto fault = begin(Operation::read, offset, length);
    if (!fault) return std::unexpected(fault.error());
    if (fault->kind == FaultKind::misdirected) offset += fault->detail;
    const bool stale = fault->kind == FaultKind::stale;
    const std::string old = stale ? inode_->before_last_write() : std::string();
    const std::string& from = stale ? old : inode_->bytes();
    std::string out = offset < from.size() ? from.substr(offset, length) : std::string();
    if (!inode_->spoil_read(offset, out))
      return failure(IoErrorKind::failed, Operation::read, name_, "Input/output error");
    if (fault->kind == FaultKind::flipped) storage::flip_bit(out, fault->detail);
    return out;
  }

  IoResult<void> write(std::uint64_t offset, std::string_view data) override {
    auto fault = begin(Operation::write, offset, data.size());
    if (!fault) return std::unexpected(fault.error());
    const auto size = inode_->bytes().size();
    if (offset + data.size() > size && disk_->used() + (offset + data.size() - size) > disk_->capacity_) {
      return failure(IoErrorKind::full, Operation::write, name_, "No space left on device");
    }
    std::string flipped;
    if (fault->kind == FaultKind::flipped) {
      storage::flip_bit(flipped = data, fault->detail);
      data = flipped;
    }
    if (fault->kind == FaultKind::misdirected) {
      offset += fault->detail;
      if (offset >= size) return {};
      data = data.substr(0, size - offset);
    }
    if (fault->kind != FaultKind::lost) inode_->write(offset, data);
    return end(*fault, Operation::write);
  }

  IoResult<void> sync() override {
    auto fault = begin(Operation::sync, 0, 0);
    if (!fault) return std::unexpected(fault.error());
    if (fault->kind == FaultKind::failed_sync) {
      inode_->fail_sync();  // the pages are clean now, as the kernel sees them, and never were written
      return failure(IoErrorKind::failed_sync, Operation::sync, name_, "Input/output error");
    }
    if (fault->kind == FaultKind::power_cut) return end(*fault, Operation::sync);
    if (fault->kind != FaultKind::lost) inode_->sync();
    return {};
  }

  IoResult<void> allocate(std::uint64_t wanted) override {
    auto fault = begin(Operation::allocate, 0, wanted);
    if (!fault) return std::unexpected(fault.error());
    const auto size = inode_->bytes().size();
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
    return inode_->bytes().size();
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
  std::shared_ptr<MemoryInode> inode_;
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
  auto inode = std::make_shared<MemoryInode>();
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

std::string MemoryDisk::contents(const std::string& name) const { return names_.at(name)->bytes(); }

void MemoryDisk::set_contents(const std::string& name, std::string bytes) {
  names_.at(name)->replace(std::move(bytes));
}

void MemoryDisk::flip_bit(const std::string& name, std::uint64_t offset, unsigned bit) {
  names_.at(name)->flip(offset * 8 + bit);
}

void MemoryDisk::spoil(const std::string& name, std::uint64_t offset, std::optional<std::uint64_t> instead) {
  names_.at(name)->spoil(offset, instead);
}

bool MemoryDisk::spoiled() const {
  return std::ranges::any_of(names_, [](const auto& file) { return file.second->spoiled(); });
}

bool MemoryDisk::shows_unwritten() const {
  return std::ranges::any_of(names_, [](const auto& file) { return file.second->shows_unwritten(); });
}

std::unique_ptr<MemoryDisk> MemoryDisk::clone() const {
  auto copy = std::make_unique<MemoryDisk>();
  for (const auto& [name, inode] : names_) {
    auto twin = std::make_shared<MemoryInode>();
    twin->replace(inode->bytes());
    copy->names_[name] = copy->durable_[name] = std::move(twin);
  }
  return copy;
}

std::uint64_t MemoryDisk::used() const {
  std::uint64_t total = 0;
  for (const auto& [name, inode] : names_) total += inode->bytes().size();
  return total;
}

}  // namespace quorate::storage
