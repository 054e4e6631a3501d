// The server's memory comes from jemalloc: small blocks that live from a socket to a flush, some of them
// freed on another thread, cost it about a third of what they cost glibc's malloc.

// Read by jemalloc when it starts. Few arenas, since few threads allocate; memory that is free for three
// seconds goes back to the system, at a node at rest too: a thread of its own sees to that.
extern "C" {
// NOLINTNEXTLINE(readability-identifier-naming)
extern const char* malloc_conf;
const char* malloc_conf =
    "narenas:4,dirty_decay_ms:3000,muzzy_decay_ms:0,background_thread:true,max_background_threads:1";
}
