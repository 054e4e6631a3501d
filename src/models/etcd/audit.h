// Whether the rows of a state are those its digest was kept for. The digest is kept with every write, from
// what is written; reading everything finds what has changed on its own since.
#pragma once

#include "storage/engine.h"

namespace quorate::models::etcd {

// Reads the whole state, as it stands behind a batch.
[[nodiscard]] bool intact(const storage::Reader& state);

}  // namespace quorate::models::etcd
