// The simulator as a program of its own, small and quick to link.
#include <vector>

#include "sim/sim_command.h"

// Read by jemalloc when it starts. A run takes and gives back the same few sizes all the time: what a thread
// keeps of them is not worth looking through every 64 KB.
extern "C" {
// NOLINTNEXTLINE(readability-identifier-naming)
extern const char* malloc_conf;
const char* malloc_conf = "tcache_gc_incr_bytes:16777216,lg_tcache_nslots_mul:2";
}

int main(int argc, char** argv) { return quorate::sim::sim_main({argv + 1, argv + argc}); }
