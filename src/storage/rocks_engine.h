// The state of a keyspace in RocksDB: one column family per table, RocksDB's own log off (the node's
// write-ahead log replays what was not flushed), flushed atomically over all tables.
//
// A read that RocksDB cannot do (damaged file) stops the process with a message: the state in memory could no
// longer be trusted. Errors of opening, of flushing and of writing to a staging engine are values. What is
// found corrupt at work is marked by a file, so that the next opening fails with `corrupt` too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "storage/engine.h"

namespace quorate::storage {

class BaseEngine;

struct RocksConfig {
  std::uint64_t cache_bytes = 64U << 20U;         // blocks, indexes and filters; shared by live and staging
  std::uint64_t write_buffer_bytes = 32U << 20U;  // of all tables together; full buffers are flushed
  // What compactions and received states leave free for the log and for flushes, at most a 32nd of the disk.
  // One that is asked for leaves a quarter of it.
  std::uint64_t spare_bytes = 64U << 20U;
  // In place of the above: how many bytes they may still take.
  std::function<std::uint64_t(const std::string& path, bool asked)> room_left;
};

// Below `path`: live-N/, whose highest N is the live state (older ones are still being read, or left over
// from a crash), staging/ (a received snapshot) and damaged/ (the last that was set aside).
class RocksHome final : public EngineHome {
 public:
  explicit RocksHome(std::string path, RocksConfig config = {});
  ~RocksHome() override;

  [[nodiscard]] IoResult<std::unique_ptr<Engine>> open_live() override;
  [[nodiscard]] IoResult<std::unique_ptr<Engine>> create_staging() override;
  [[nodiscard]] IoResult<std::unique_ptr<Engine>> open_staging() override;
  [[nodiscard]] IoResult<void> promote_staging() override;
  void discard_staging() override;
  [[nodiscard]] IoResult<void> set_aside_live() override;

 private:
  struct Shared;
  [[nodiscard]] IoResult<void> settle();  // finds the live state and drops what is no longer read
  [[nodiscard]] IoResult<std::unique_ptr<BaseEngine>> open_at(const std::string& name);
  [[nodiscard]] std::string at(const std::string& name) const;

  std::string path_;
  std::uint64_t generation_ = 1;
  std::unique_ptr<Shared> shared_;
};

}  // namespace quorate::storage
