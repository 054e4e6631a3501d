#include "storage/engine.h"

namespace quorate::storage {

void Engine::write(const Batch& batch) {
  for (const auto& change : batch.changes()) {
    if (change.erase) {
      erase(change.table, change.key);
    } else {
      put(change.table, change.key, Bytes::copy(change.value));
    }
  }
}

}  // namespace quorate::storage
