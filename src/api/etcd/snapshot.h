// A snapshot of the state as `etcdctl snapshot save` fetches it: a stream of blobs of 32 KiB, and at last the
// SHA-256 of all of them.
//
// The content is Quorate's own format, not a bbolt file (docs/design/formats.md may refer here):
//
//   "QUORATE-SNAPSHOT-1\n"
//   rows      table (one byte, not 0xFF), varint length of key, key, varint length of value, value
//             by table, then in key order
//   0xFF      zeroes, and 8 bytes, little endian: how many rows there were; in all a multiple of 512 bytes
#pragma once

#include "api/etcd/core.h"

namespace quorate::api::etcd {

// The state at the moment of the call; later writes do not show. Memory: what the stream may queue.
void send_snapshot(Core& core, const CallPtr& call);

}  // namespace quorate::api::etcd
