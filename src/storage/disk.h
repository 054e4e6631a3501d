// The disk seam: what the log and the state need of a directory of files. PosixDisk is the real one;
// the simulator's lies, tears and forgets. All calls block; errors are values.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::storage {

// `corrupt`: the disk gave what it has, and that can not be what was written.
enum class IoErrorKind : std::uint8_t { not_found, exists, full, failed_sync, failed, corrupt };

struct IoError {
  IoErrorKind kind = IoErrorKind::failed;
  std::string what;  // operation, file and the system's words: "fdatasync wal-00000001: Input/output error"
};

template <class T>
using IoResult = std::expected<T, IoError>;

class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  // Reads up to `length` bytes at `offset`; fewer only at the end of the file.
  virtual IoResult<std::string> read(std::uint64_t offset, std::size_t length) = 0;
  virtual IoResult<void> write(std::uint64_t offset, std::string_view data) = 0;
  virtual IoResult<void> sync() = 0;  // fdatasync; after a failure nothing of this file may be trusted
  virtual IoResult<void> allocate(std::uint64_t size) = 0;  // grow to `size` with zeroes, blocks reserved
  virtual IoResult<void> truncate(std::uint64_t size) = 0;
  virtual IoResult<std::uint64_t> size() = 0;
};

// One flat directory. Names hold no '/'.
class Disk {
 public:
  Disk() = default;
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  virtual ~Disk() = default;

  virtual IoResult<std::unique_ptr<File>> open(const std::string& name) = 0;          // must exist
  virtual IoResult<std::unique_ptr<File>> create(const std::string& name) = 0;        // must not exist
  virtual IoResult<void> rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual IoResult<void> remove(const std::string& name) = 0;
  virtual IoResult<std::vector<std::string>> list() = 0;  // sorted
  virtual IoResult<void> sync_directory() = 0;            // creations, renames and removals become durable
  struct Space {
    std::uint64_t free = 0;  // for this process
    std::uint64_t total = 0;
  };
  virtual IoResult<Space> space() = 0;  // of the file system
};

}  // namespace quorate::storage
