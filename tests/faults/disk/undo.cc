#include "undo.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quorate::faults {
namespace {

enum class Kind : std::uint32_t { wrote = 1, renamed = 2, removed = 3, synced = 4 };

struct Entry {
  Kind kind;
  std::uint32_t text;
  std::uint64_t inode;
  std::uint64_t offset;
  std::uint64_t content;
  std::uint64_t size;
};

std::mutex mutex;  // an entry stands in front of what is done behind it

// Beside the file of the disk's numbers: the journal, and other names of files that lost theirs.
std::string beside(const char* what) {
  const char* path = std::getenv("QUORATE_FAULT_DISK");
  return path ? std::string(path) + what : std::string();
}

int journal() {
  static const int fd = ::open(beside(".undo").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  return fd;
}

void tell(Entry entry, const std::string& text = {}, const std::string& content = {}) {
  using Write = ssize_t(int, const void*, std::size_t);
  static auto* const write = reinterpret_cast<Write*>(::dlsym(RTLD_NEXT, "write"));
  entry.text = static_cast<std::uint32_t>(text.size());
  entry.content = content.size();
  std::string bytes(reinterpret_cast<const char*>(&entry), sizeof entry);
  bytes += text + content;
  if (write(journal(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
}

std::string path_of(int directory, const char* name) {
  if (name[0] == '/') return name;
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(directory);
  const auto size = directory == AT_FDCWD ? -1 : ::readlink(link.c_str(), path, sizeof path);
  return size <= 0 ? name : std::string(path, static_cast<std::size_t>(size)) + "/" + name;
}

std::uint64_t directory_of(const std::string& path) {
  struct stat info{};
  const auto slash = path.rfind('/');
  return slash != std::string::npos && ::stat(path.substr(0, slash).c_str(), &info) == 0 ? info.st_ino : 0;
}

// Gives the file another name, so that its content and its inode stay.
std::string hold(const std::string& path) {
  static std::uint64_t count = 0;
  const std::string name = beside(".held-") + std::to_string(::getpid()) + "-" + std::to_string(++count);
  return ::link(path.c_str(), name.c_str()) == 0 ? name : std::string();
}

}  // namespace

void about_to_write(int fd, std::size_t size, off_t offset) {
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return;
  if (offset < 0) {
    offset = (::fcntl(fd, F_GETFL) & O_APPEND) != 0 ? info.st_size : ::lseek(fd, 0, SEEK_CUR);
    if (offset < 0) return;
  }
  const std::lock_guard lock(mutex);
  std::string old(offset < info.st_size
                      ? std::min<std::size_t>(size, static_cast<std::size_t>(info.st_size - offset))
                      : 0,
                  '\0');
  // Not readable by this descriptor: by another one.
  if (!old.empty() && ::pread(fd, old.data(), old.size(), offset) < 0) {
    const int again = ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
    if (again < 0 || ::pread(again, old.data(), old.size(), offset) < 0) std::abort();
    ::close(again);
  }
  tell({Kind::wrote, 0, info.st_ino, static_cast<std::uint64_t>(offset), 0,
        static_cast<std::uint64_t>(info.st_size)},
       {}, old);
}

void about_to_rename(int from_directory, const char* from, int to_directory, const char* to) {
  const std::string source = path_of(from_directory, from);
  const std::string target = path_of(to_directory, to);
  const std::lock_guard lock(mutex);
  tell({Kind::renamed, 0, directory_of(target), 0, 0, 0}, source + '\0' + target + '\0' + hold(target));
}

void about_to_remove(int directory, const char* name) {
  const std::string path = path_of(directory, name);
  const std::lock_guard lock(mutex);
  const std::string held = hold(path);
  if (!held.empty()) tell({Kind::removed, 0, directory_of(path), 0, 0, 0}, path + '\0' + held);
}

off_t about_to_sync() {
  struct stat info{};
  const std::lock_guard lock(mutex);
  return ::fstat(journal(), &info) == 0 ? info.st_size : 0;
}

void synced(int fd, off_t since) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return;
  const std::lock_guard lock(mutex);
  tell({Kind::synced, 0, info.st_ino, static_cast<std::uint64_t>(since), 0, 0});
}

}  // namespace quorate::faults
