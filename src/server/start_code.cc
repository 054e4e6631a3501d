#include "server/start_code.h"

#include <cstdint>
#include <vector>

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace quorate::server {
namespace {

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
};

// Only segments that were never writable: in the others the loader has put addresses (relocations), which the
// file does not have.
int note(dl_phdr_info* object, std::size_t, void* ranges) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const auto begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const auto end = (object->dlpi_addr + segment.p_vaddr + segment.p_filesz) & ~(page - 1);
    if (begin < end) static_cast<std::vector<Range>*>(ranges)->push_back({begin, end});
  }
  return 0;
}

}  // namespace

// All are noted before one is unmapped: the headers lie in what is unmapped, and reading them would bring
// every library's first pages back.
void unmap_start_code() {
  std::vector<Range> ranges;
  dl_iterate_phdr(note, &ranges);
  for (const auto [begin, end] : ranges) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): addresses are numbers in the headers
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

}  // namespace quorate::server
