#include "storage/posix_disk.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace quorate::storage {
namespace {

constexpr const char* lock_name = "LOCK";

IoErrorKind kind_of(int error) {
  switch (error) {
    case ENOENT: return IoErrorKind::not_found;
    case EEXIST: return IoErrorKind::exists;
    case ENOSPC:
    case EDQUOT: return IoErrorKind::full;
    default: return IoErrorKind::failed;
  }
}

std::unexpected<IoError> failure(const char* operation, const std::string& path, int error) {
  return std::unexpected(IoError{
      kind_of(error), std::string(operation) + " " + path + ": " + std::generic_category().message(error)});
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  IoResult<std::string> read(std::uint64_t offset, std::size_t length) override {
    std::string out;
    int error = 0;
    out.resize_and_overwrite(length, [&](char* at, std::size_t n) {
      std::size_t done = 0;
      while (done < n) {
        const auto got = ::pread(fd_.get(), at + done, n - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) error = errno;
        if (got <= 0) break;
        done += static_cast<std::size_t>(got);
      }
      return done;
    });
    if (error != 0) return failure("read", path_, error);
    return out;
  }

  IoResult<void> write(std::uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const auto put = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failure("write", path_, errno);
      offset += static_cast<std::uint64_t>(put);
      data.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }

  // The kernel marks the pages of a failed flush clean, so a second attempt would succeed without having
  // written them: the first failure is final.
  IoResult<void> sync() override {
    if (sync_failed_) return std::unexpected(IoError{IoErrorKind::failed_sync, sync_message_});
    if (::fdatasync(fd_.get()) == 0) return {};
    sync_failed_ = true;
    sync_message_ = failure("fdatasync", path_, errno).error().what;
    return std::unexpected(IoError{IoErrorKind::failed_sync, sync_message_});
  }

  IoResult<void> allocate(std::uint64_t wanted) override {
    auto present = size();
    if (!present) return std::unexpected(present.error());
    if (*present >= wanted) return {};
    int result = 0;
    do {
      result = ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(wanted));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return {};
    if (errno != EOPNOTSUPP) return failure("fallocate", path_, errno);
    return truncate(wanted);
  }

  IoResult<void> truncate(std::uint64_t wanted) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(wanted)) != 0) return failure("truncate", path_, errno);
    return {};
  }

  IoResult<std::uint64_t> size() override {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return failure("stat", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  Descriptor fd_;
  std::string path_;
  bool sync_failed_ = false;
  std::string sync_message_;
};

class PosixDisk final : public Disk {
 public:
  PosixDisk(std::string path, Descriptor directory, Descriptor lock)
      : path_(std::move(path)), directory_(std::move(directory)), lock_(std::move(lock)) {}

  IoResult<std::unique_ptr<File>> open(const std::string& name) override { return open_with(name, 0); }
  IoResult<std::unique_ptr<File>> create(const std::string& name) override {
    return open_with(name, O_CREAT | O_EXCL);
  }

  IoResult<void> rename(const std::string& from, const std::string& to) override {
    if (::renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) != 0) {
      return failure("rename", full(from) + " to " + to, errno);
    }
    return {};
  }

  IoResult<void> remove(const std::string& name) override {
    if (::unlinkat(directory_.get(), name.c_str(), 0) != 0) return failure("remove", full(name), errno);
    return {};
  }

  IoResult<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(path_, error), end; !error && it != end;
         it.increment(error)) {
      auto name = it->path().filename().string();
      if (name != lock_name) names.push_back(std::move(name));
    }
    if (error) return failure("list", path_, error.value());
    std::ranges::sort(names);
    return names;
  }

  IoResult<void> sync_directory() override {
    if (::fsync(directory_.get()) == 0) return {};
    return std::unexpected(IoError{IoErrorKind::failed_sync, failure("fsync", path_, errno).error().what});
  }

  IoResult<Space> space() override {
    struct statvfs info{};
    if (::fstatvfs(directory_.get(), &info) != 0) return failure("statvfs", path_, errno);
    const auto bytes = [&](auto blocks) { return static_cast<std::uint64_t>(blocks) * info.f_frsize; };
    return Space{bytes(info.f_bavail), bytes(info.f_blocks)};
  }

 private:
  [[nodiscard]] std::string full(const std::string& name) const { return path_ + "/" + name; }

  IoResult<std::unique_ptr<File>> open_with(const std::string& name, int flags) {
    Descriptor fd(::openat(directory_.get(), name.c_str(), O_RDWR | O_CLOEXEC | flags, 0640));
    if (!fd) return failure(flags == 0 ? "open" : "create", full(name), errno);
    return std::make_unique<PosixFile>(std::move(fd), full(name));
  }

  std::string path_;
  Descriptor directory_;
  Descriptor lock_;
};

// Creates what is missing of the path and makes each new name durable in its parent.
IoResult<void> make_directories(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return {};
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (parent != path) {
    if (auto made = make_directories(parent); !made) return made;
  }
  if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return failure("mkdir", path.string(), errno);
  return sync_directory_at(parent.string());
}

// The holder writes its pid into the file for the one who is refused.
IoResult<Descriptor> take_lock(int directory, const std::string& path) {
  Descriptor lock(::openat(directory, lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!lock) return failure("open", path + "/" + lock_name, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failure("lock", path, errno);
    char holder[24] = {};
    const auto got = ::pread(lock.get(), holder, sizeof holder - 1, 0);
    std::string who = got > 0 ? " (pid " + std::string(holder, static_cast<std::size_t>(got)) + ")" : "";
    return std::unexpected(
        IoError{IoErrorKind::exists, "lock " + path + ": in use by another process" + who});
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), pid.data(), pid.size(), 0) < 0) {
    return failure("write", path + "/" + lock_name, errno);
  }
  return lock;
}

}  // namespace

IoResult<void> sync_directory_at(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failure("open", path, errno);
  if (::fsync(fd.get()) != 0) {
    return std::unexpected(IoError{IoErrorKind::failed_sync, failure("fsync", path, errno).error().what});
  }
  return {};
}

IoResult<std::unique_ptr<Disk>> open_directory(const std::string& path) {
  const auto clean = std::filesystem::path(path).lexically_normal();
  const auto directory = clean.has_filename() ? clean : clean.parent_path();
  if (auto made = make_directories(directory); !made) return std::unexpected(made.error());
  Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failure("open", directory.string(), errno);
  auto lock = take_lock(fd.get(), directory.string());
  if (!lock) return std::unexpected(lock.error());
  return std::make_unique<PosixDisk>(directory.string(), std::move(fd), std::move(*lock));
}

}  // namespace quorate::storage
