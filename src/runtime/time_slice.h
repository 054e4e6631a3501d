// How long this thread may be kept waiting by others.
#pragma once

namespace quorate::runtime {

// For a thread that works for microseconds and sleeps again: asks the kernel for short turns, and sooner, in
// the place of long ones. Where all cores are busy, a thread that was waiting for the disk or a peer
// otherwise waits for somebody's whole turn after it, about 4 ms, and a put does so several times. Linux 6.12
// (EEVDF) knows of it; on others it changes nothing. Its share of the processor stays the same.
void prefer_short_turns();

}  // namespace quorate::runtime
