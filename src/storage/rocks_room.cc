#include "storage/rocks_room.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>

namespace quorate::storage::rocks {
namespace {

namespace fs = std::filesystem;

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// A compaction that found no room would find none in the next second either, and what it wrote until then is
// in vain.
constexpr auto pause = std::chrono::seconds(10);
constexpr std::uint64_t looked_at_every = 1U << 20U;
constexpr std::uint64_t ample = 256U << 20U;

// Of the directory that holds it.
std::string folder_of(const std::string& path) { return fs::path(path).parent_path().filename().string(); }

// A sorted file that asks for room as it grows.
class GuardedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  GuardedFile(std::unique_ptr<FSWritableFile> file, std::shared_ptr<Room> room, std::string path)
      : FSWritableFileOwnerWrapper(std::move(file)),
        room_(std::move(room)),
        path_(std::move(path)),
        allocate_ahead_(room_->left(path_) > ample) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    auto admitted = admit(data.size());
    return admitted.ok() ? FSWritableFileOwnerWrapper::Append(data, options, debug) : admitted;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& checksum, IODebugContext* debug) override {
    auto admitted = admit(data.size());
    return admitted.ok() ? FSWritableFileOwnerWrapper::Append(data, options, checksum, debug) : admitted;
  }
  // Space is allocated for a whole file at once, most of which the last rows of a table do not need.
  void PrepareWrite(std::size_t offset, std::size_t bytes, const IOOptions& options,
                    IODebugContext* debug) override {
    if (allocate_ahead_) FSWritableFileOwnerWrapper::PrepareWrite(offset, bytes, options, debug);
  }

 private:
  IOStatus admit(std::uint64_t bytes) {
    if (bytes <= admitted_) {
      admitted_ -= bytes;
      return IOStatus::OK();
    }
    auto status = room_->admit(path_, bytes);
    if (status.ok()) admitted_ = looked_at_every;
    return status;
  }

  std::shared_ptr<Room> room_;
  std::string path_;
  bool allocate_ahead_;
  std::uint64_t admitted_ = 0;  // beyond what is written; without another look
};

class GuardedFiles final : public rocksdb::FileSystemWrapper {
 public:
  explicit GuardedFiles(Room& room) : FileSystemWrapper(rocksdb::FileSystem::Default()), room_(&room) {}

  [[nodiscard]] const char* Name() const override { return "GuardedFiles"; }

  // Those beside the database are of a flush, which is what makes the log shorter.
  IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    const bool guarded = path.ends_with(".sst") && folder_of(path) != "incoming";
    if (guarded) {
      if (auto admitted = room_->admit_file(path); !admitted.ok()) return admitted;
    }
    auto status = FileSystemWrapper::NewWritableFile(path, options, file, debug);
    if (guarded && status.ok())
      *file = std::make_unique<GuardedFile>(std::move(*file), room_->shared_from_this(), path);
    return status;
  }

 private:
  Room* room_;
};

// A compaction that finds no room has changed nothing; remembered as an error of the database it would keep
// others from being taken up.
class Unremembered final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason == rocksdb::BackgroundErrorReason::kCompaction && error->IsNoSpace())
      *error = rocksdb::Status::OK();
  }
};

}  // namespace

void Room::keep_to_it(rocksdb::DBOptions& options) {
  if (!env_) env_ = rocksdb::NewCompositeEnv(std::make_shared<GuardedFiles>(*this));
  options.env = env_.get();
  options.listeners.push_back(std::make_shared<Unremembered>());
}

// A state that is being received may fit where a compaction did not, and the reverse.
IOStatus Room::admit_file(const std::string& path) {
  if (asked_ == 0 && folder_of(path) != "staging" && Clock::now().time_since_epoch() < put_off_until_.load())
    return IOStatus::NoSpace("compactions are put off");
  return admit(path, 0);
}

IOStatus Room::admit(const std::string& path, std::uint64_t bytes) {
  if (left(path) > bytes) return IOStatus::OK();
  if (folder_of(path) != "staging") put_off_until_ = (Clock::now() + pause).time_since_epoch();
  return IOStatus::NoSpace("what is left is kept for the log");
}

Room::Left all_but(std::uint64_t spare_bytes) {
  return [spare_bytes](const std::string& path, bool asked) -> std::uint64_t {
    std::error_code error;
    const auto space = fs::space(fs::path(path).parent_path(), error);
    if (error) return UINT64_MAX;  // then the writing itself will tell
    const std::uint64_t spare = std::min<std::uint64_t>(spare_bytes, space.capacity / 32) / (asked ? 4 : 1);
    return space.available > spare ? space.available - spare : 0;
  };
}

}  // namespace quorate::storage::rocks
