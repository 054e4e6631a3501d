// Walks several layers of changes over a base as one ordered map: of equal keys the newest layer's counts,
// and an erasure hides what is below it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "storage/engine.h"
#include "storage/memtable.h"

namespace quorate::storage {

// `memtables` newest first; they and `base` must outlive the cursor, or be kept by `keep`.
[[nodiscard]] std::unique_ptr<Cursor> merging_cursor(std::span<const Memtable* const> memtables,
                                                     const Reader& base, Table table,
                                                     std::shared_ptr<const void> keep = {});

}  // namespace quorate::storage
