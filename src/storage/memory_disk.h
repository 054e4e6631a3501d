// The simulator's disk: files in memory, and what a real disk may do to them. Reads see every write at once;
// a crash keeps what was synced and, of the rest, whatever the caller's Rng decides.
//
// Not thread-safe. Deterministic: the same calls and the same Rng give the same bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "storage/disk.h"

namespace quorate::storage {

class MemoryInode;

class MemoryDisk final : public Disk {
 public:
  static constexpr std::size_t sector = 512;  // written whole or not at all

  enum class Operation : std::uint8_t {
    open,
    create,
    read,
    write,
    sync,
    allocate,
    truncate,
    rename,
    remove,
    list,
    sync_directory,
  };
  struct Access {
    Operation operation;
    std::string_view file;  // empty for list and sync_directory
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t number = 0;  // of this access since the disk was made, from 1
  };

  // What goes wrong with one access. Those that do not fit the operation do nothing.
  enum class FaultKind : std::uint8_t {
    none,
    io_error,     // fails, nothing happens
    full,         // write, allocate, create: fails for lack of space, nothing happens
    failed_sync,  // sync, sync_directory: fails; what was not synced stays visible, is never written, and
                  // looks clean
    lost,         // write, sync: reported as done, never happens
    misdirected,  // read, write: happens `detail` bytes further on (cut to the file)
    flipped,      // read: bit `detail` of the result is wrong; write: bit `detail` is stored wrong
    stale,        // read: what was there before the last write to the file
    power_cut,    // the access may or may not take effect at the crash; all fail until crash()
  };
  struct Fault {
    FaultKind kind = FaultKind::none;
    std::uint64_t detail = 0;
  };
  using Hook = std::function<Fault(const Access&)>;  // asked before each access

  MemoryDisk();
  ~MemoryDisk() override;

  void set_hook(Hook hook) { hook_ = std::move(hook); }
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }  // of all files together

  // What survives of un-synced writes and directory changes.
  enum class Survival : std::uint8_t {
    any,  // each write whole, gone, or some of its sectors
    all,
    none,
    torn,       // of each file, and of the directory, what was done up to some sector of some write
    reordered,  // each sector of each write has its own fate, as if the disk wrote them in any order
    // Only the process dies: the next one reads all that was written from the kernel's memory, and what was
    // not synced, or was lost by a failed sync, is no more durable than before. Nothing is cached through a
    // power cut.
    cached,
  };
  // The process dies and the disk comes back: open files become useless, the hook stays.
  void crash(Rng& rng, Survival survival = Survival::any);

  // For tests and for damage at rest. The file must exist.
  [[nodiscard]] std::string contents(const std::string& name) const;
  void set_contents(const std::string& name, std::string bytes);               // durable
  void flip_bit(const std::string& name, std::uint64_t offset, unsigned bit);  // durable
  // From now on the sector at `offset` can not be read (EIO), or is read as the one at `instead`, until it is
  // written again. The file must exist; a crash changes nothing.
  void spoil(const std::string& name, std::uint64_t offset, std::optional<std::uint64_t> instead = {});
  [[nodiscard]] bool spoiled() const;  // whether any file has such a sector
  // Whether a file shows what a failed sync left, and a loss of power will take.
  [[nodiscard]] bool shows_unwritten() const;
  [[nodiscard]] bool exists(const std::string& name) const { return names_.contains(name); }
  [[nodiscard]] std::unique_ptr<MemoryDisk> clone() const;  // the same bytes, all durable, no hook
  [[nodiscard]] std::uint64_t accesses() const { return accesses_; }
  [[nodiscard]] std::uint64_t used() const;

  IoResult<std::unique_ptr<File>> open(const std::string& name) override;
  IoResult<std::unique_ptr<File>> create(const std::string& name) override;
  IoResult<void> rename(const std::string& from, const std::string& to) override;
  IoResult<void> remove(const std::string& name) override;
  IoResult<std::vector<std::string>> list() override;
  IoResult<void> sync_directory() override;
  IoResult<Space> space() override { return Space{capacity_ - std::min(capacity_, used()), capacity_}; }

 private:
  class MemoryFile;
  struct NameChange {
    Operation operation;
    std::string from;
    std::string to;
    std::shared_ptr<MemoryInode> inode;
  };
  using Names = std::map<std::string, std::shared_ptr<MemoryInode>>;

  // The fault of this access; an error where it fails before anything happens.
  IoResult<Fault> begin(Operation operation, std::string_view file, std::uint64_t offset,
                        std::uint64_t length);
  void change(NameChange change);
  static void apply(Names& names, const NameChange& change);

  Hook hook_;
  std::uint64_t capacity_ = UINT64_MAX;
  std::uint64_t accesses_ = 0;
  std::uint64_t life_ = 0;  // crashes so far: a file opened in an earlier life is dead
  bool dead_ = false;
  Names names_;    // as seen
  Names durable_;  // as found after a crash that loses everything un-synced
  std::vector<NameChange> changes_;
  std::vector<NameChange>
      clean_;  // lost by a failed sync; a later change writes the whole directory once more
};

}  // namespace quorate::storage
