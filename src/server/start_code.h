// Most of a server's code runs once, when it starts: parsers, options, the opening of the state.
#pragma once

namespace quorate::server {

// Takes the pages of code and constants out of this process: what is run again is mapped again from the page
// cache, 16 pages at a time, without a word to the disk as long as the kernel has no other use for them. It
// does so first with pages that nobody maps.
void unmap_start_code();

}  // namespace quorate::server
