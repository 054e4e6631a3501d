#include "storage/rocks_options.h"

#include <algorithm>
#include <cstdarg>
#include <initializer_list>
#include <utility>

#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

namespace quorate::storage::rocks {
namespace {

rocksdb::CompressionType best_of(std::initializer_list<rocksdb::CompressionType> wanted) {
  const auto supported = rocksdb::GetSupportedCompressions();
  for (const auto type : wanted) {
    if (std::ranges::find(supported, type) != supported.end()) return type;
  }
  return rocksdb::kNoCompression;
}

// Takes the place of a log file beside the data. RocksDB asserts that none of its writes to that fails: on a
// full disk its second line would end the process. What goes wrong is told by the status of each call.
class Silence final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void LogHeader(const char*, va_list) override {}
  void Logv(const char*, va_list) override {}
};

}  // namespace

rocksdb::DBOptions database_options(const RocksConfig& config, Room& room) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.atomic_flush = true;  // all tables or none: the applied index never runs ahead of the data
  options.db_write_buffer_size = config.write_buffer_bytes;
  options.max_background_jobs = 2;
  options.max_open_files = 512;
  options.bytes_per_sync = 256U << 10U;  // a flush does not hit the log's disk in one blow
  options.info_log = std::make_shared<Silence>();
  options.max_manifest_file_size = 16U << 20U;
  room.keep_to_it(options);
  return options;
}

rocksdb::ColumnFamilyOptions table_options(const RocksConfig& config, std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.block_size = 4U << 10U;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;  // else they grow beside the cache, with the data
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  // In pieces: those of a whole file are larger than a shard of the cache that a million keys leave room in,
  // and every read would bring them in anew.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.enable_index_compression = false;
  table.format_version = 5;

  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = config.write_buffer_bytes / 2;
  options.max_write_buffer_number = 4;
  options.target_file_size_base = 32U << 20U;
  options.max_bytes_for_level_base = 128U << 20U;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = best_of({rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
  return options;
}

}  // namespace quorate::storage::rocks
