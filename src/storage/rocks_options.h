// How a state is kept in RocksDB.
#pragma once

#include <memory>

#include <rocksdb/cache.h>
#include <rocksdb/options.h>

#include "storage/rocks_engine.h"
#include "storage/rocks_room.h"

namespace quorate::storage::rocks {

[[nodiscard]] rocksdb::DBOptions database_options(const RocksConfig& config, Room& room);
[[nodiscard]] rocksdb::ColumnFamilyOptions table_options(const RocksConfig& config,
                                                         std::shared_ptr<rocksdb::Cache> cache);

}  // namespace quorate::storage::rocks
