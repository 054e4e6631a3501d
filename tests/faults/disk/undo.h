// What a power loss would take away: what was written, renamed and removed since it was last synced.
//
// While it is kept, each such operation is told to a journal before it is done, with what it takes to undo
// it; each sync says which of them are durable. Whoever kills the process undoes what is not (power.py). The
// journal is a row of entries in the byte order of the machine:
//   u32 kind · u32 bytes of text · u64 inode · u64 offset · u64 bytes of content · u64 size · text · content
// wrote: inode is the file's, content what stood at offset, size that of the file. renamed, removed: inode is
// the directory's; text is the path, for renamed behind it a zero byte and the new path, and then a zero byte
// and another name of the file that was removed or replaced, if there was one. synced: of that inode, all
// entries before the offset in the journal are durable.
#pragma once

#include <cstddef>

#include <sys/types.h>

namespace quorate::faults {

void about_to_write(int fd, std::size_t size, off_t offset);
void about_to_rename(int from_directory, const char* from, int to_directory, const char* to);
void about_to_remove(int directory, const char* name);
// Where the journal ends now; for synced(), once the sync that is about to begin has succeeded.
off_t about_to_sync();
void synced(int fd, off_t since);

}  // namespace quorate::faults
