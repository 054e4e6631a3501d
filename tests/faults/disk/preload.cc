// Preloaded into a node, it is the node's bad disk: slow, failing, full, gone in the middle of a write,
// or without what it did not sync.
// What it does stands in a file of 32-bit numbers shared with the test, in the order of Control; the variable
// QUORATE_FAULT_DISK names the file. Only regular files are touched, standard output and error not.
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "undo.h"

using namespace quorate::faults;

namespace {

struct Control {
  std::uint32_t sync_delay_us;
  std::uint32_t write_delay_us;
  std::uint32_t fail_sync;  // fsync and fdatasync fail with EIO
  std::uint32_t full;       // writes and allocations fail with ENOSPC
  std::uint32_t tear;  // the process dies in the tear-th write to the log from now: some sectors got there
  std::uint32_t tear_seed;
  std::uint32_t keep;  // a journal is kept of what a power loss would take away (undo.h)
  std::uint32_t felt;  // counts what was delayed or failed
};

Control none{};

volatile Control* control() {
  static volatile Control* shared = [] {
    const char* path = std::getenv("QUORATE_FAULT_DISK");
    const int fd = path ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return &none;
    void* at = ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    return at == MAP_FAILED ? &none : static_cast<Control*>(at);
  }();
  return shared;
}

template <class F>
F* real(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

bool ours(int fd) {
  if (fd <= STDERR_FILENO) return false;
  struct stat info{};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

bool log_segment(int fd) {
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const auto size = ::readlink(link, path, sizeof path - 1);
  if (size <= 0) return false;
  path[size] = '\0';
  return std::strstr(path, "/wal-") != nullptr;
}

void felt() { __atomic_fetch_add(&control()->felt, 1, __ATOMIC_RELAXED); }

using Pwrite = ssize_t(int, const void*, std::size_t, off_t);

// A disk writes sectors whole, in any order; the process is gone before it has written them all.
[[noreturn]] void tear(int fd, const char* data, std::size_t size, off_t offset) {
  static Pwrite* const next = real<Pwrite>("pwrite");
  std::uint32_t dice = control()->tear_seed | 1U;
  for (std::size_t at = 0; at < size; at += 512) {
    dice = dice * 1664525U + 1013904223U;
    if ((dice >> 16U & 1U) == 0) continue;
    const std::size_t length = size - at < 512 ? size - at : 512;
    (void)!next(fd, data + at, length, offset + static_cast<off_t>(at));
  }
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

// 0: go on; else: fail with errno set.
int before_write(int fd) {
  volatile Control* now = control();
  if (now->write_delay_us == 0 && now->full == 0) return 0;
  if (!ours(fd)) return 0;
  felt();
  if (now->write_delay_us != 0) ::usleep(now->write_delay_us);
  if (now->full == 0) return 0;
  errno = ENOSPC;
  return -1;
}

int before_sync() {
  volatile Control* now = control();
  if (now->sync_delay_us != 0 || now->fail_sync != 0) felt();
  if (now->sync_delay_us != 0) ::usleep(now->sync_delay_us);
  if (now->fail_sync == 0) return 0;
  errno = EIO;
  return -1;
}

ssize_t positioned(int fd, const void* data, std::size_t size, off_t offset) {
  static Pwrite* const next = real<Pwrite>("pwrite");
  const auto left = control()->tear;
  if (left != 0 && log_segment(fd)) control()->tear = left - 1;
  if (left == 1 && log_segment(fd)) {
    tear(fd, static_cast<const char*>(data), size, offset);
  }
  if (control()->keep != 0) about_to_write(fd, size, offset);
  return before_write(fd) == 0 ? next(fd, data, size, offset) : -1;
}

// What was written before it is durable then, what is written meanwhile may not be.
int flushed(int fd, int (*next)(int)) {
  if (before_sync() != 0) return -1;
  const bool keep = control()->keep != 0;
  const off_t since = keep ? about_to_sync() : 0;
  const int result = next(fd);
  if (result == 0 && keep) synced(fd, since);
  return result;
}

int allocated(int fd, int mode, off_t offset, off_t size) {
  static auto* const next = real<int(int, int, off_t, off_t)>("fallocate");
  return before_write(fd) == 0 ? next(fd, mode, offset, size) : -1;
}

}  // namespace

extern "C" {

ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  return positioned(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void* data, std::size_t size, off_t offset) {
  return positioned(fd, data, size, offset);
}

ssize_t write(int fd, const void* data, std::size_t size) {
  static auto* const next = real<ssize_t(int, const void*, std::size_t)>("write");
  if (control()->keep != 0 && ours(fd)) about_to_write(fd, size, -1);
  return before_write(fd) == 0 ? next(fd, data, size) : -1;
}

int fallocate(int fd, int mode, off_t offset, off_t size) { return allocated(fd, mode, offset, size); }
int fallocate64(int fd, int mode, off_t offset, off_t size) { return allocated(fd, mode, offset, size); }

int fdatasync(int fd) {
  static auto* const next = real<int(int)>("fdatasync");
  return flushed(fd, next);
}

int fsync(int fd) {
  static auto* const next = real<int(int)>("fsync");
  return flushed(fd, next);
}

int rename(const char* from, const char* to) {
  static auto* const next = real<int(const char*, const char*)>("rename");
  if (control()->keep != 0) about_to_rename(AT_FDCWD, from, AT_FDCWD, to);
  return next(from, to);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  static auto* const next = real<int(int, const char*, int, const char*)>("renameat");
  if (control()->keep != 0) about_to_rename(from_directory, from, to_directory, to);
  return next(from_directory, from, to_directory, to);
}

int unlink(const char* path) {
  static auto* const next = real<int(const char*)>("unlink");
  if (control()->keep != 0) about_to_remove(AT_FDCWD, path);
  return next(path);
}

int unlinkat(int directory, const char* path, int flags) {
  static auto* const next = real<int(int, const char*, int)>("unlinkat");
  if (control()->keep != 0) about_to_remove(directory, path);
  return next(directory, path, flags);
}
}
