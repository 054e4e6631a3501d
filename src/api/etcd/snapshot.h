// A snapshot of the state as `etcdctl snapshot save` fetches it: a stream of blobs of 32 KiB, and at last the
// SHA-256 of all of them.
// The content is Quorate's own format (storage/backup.h), not a bbolt file.
#pragma once

#include "api/etcd/core.h"

namespace quorate::api::etcd {

// The state at the moment of the call; later writes do not show. Memory: what the stream may queue.
void send_snapshot(Core& core, const CallPtr& call);

}  // namespace quorate::api::etcd
