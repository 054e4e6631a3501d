// Applies batches in order and gathers the entries that are still wanted.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <vector>

#include "core/entry.h"
#include "storage/wal_codec.h"
#include "storage/wal_state.h"

namespace quorate::storage::wal {

class Replay {
 public:
  // The first sets the start; a later one must agree with what was replayed so far. Errors say what is wrong.
  [[nodiscard]] std::expected<void, std::string> checkpoint(const Bytes& body);
  [[nodiscard]] std::expected<void, std::string> writes(const Bytes& body, std::uint64_t segment);
  // Hands everything over, if no entry behind a snapshot is missing.
  [[nodiscard]] std::expected<void, std::string> finish(States& states,
                                                        std::map<KeyspaceId, Recovered>& keyspaces);

 private:
  bool apply(KeyspaceId keyspace, Write write, std::uint64_t segment);

  bool started_ = false;
  States states_;
  std::map<KeyspaceId, std::vector<Entry>> logs_;  // contiguous; ends at its state's last, or is empty
};

}  // namespace quorate::storage::wal
