// What a node's log must give back when the node starts again: everything that was reported durable, and of
// the groups of writes behind that, some prefix. Kept beside the log and compared with what it recovers.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/entry.h"

namespace quorate::sim {

class DurableShadow {
 public:
  // A group of writes was handed to the log.
  void submitted(std::vector<Write> writes) { in_flight_.push_back(std::move(writes)); }
  // The first `groups` groups in flight were reported durable, by one sync.
  void synced(std::size_t groups);
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  [[nodiscard]] std::uint64_t newest_sync() const { return newest_; }  // they count from 1

  // The log recovered this. What it differs in from everything it may give, or none; afterwards the shadow
  // is what was recovered.
  [[nodiscard]] std::optional<std::string> recovered(const Recovered& found);
  // How many of the newest syncs the last recovered() missed, all before them being there; none if it found
  // something else.
  [[nodiscard]] std::optional<std::size_t> missed() const { return missed_; }
  void reset(const Recovered& found);
  // How many of the newest syncs these records lack, which a damaged log gave back; none if they never were.
  // They may be those with some in flight, too.
  [[nodiscard]] std::optional<std::size_t> lacking(const std::map<RecordKey, Bytes>& records) const;

  // A disk without faults, for scenarios: what it holds, and a crash that loses all that was in flight.
  [[nodiscard]] Recovered contents();
  void lose_in_flight() { in_flight_.clear(); }
  [[nodiscard]] bool empty() const {
    return records_.empty() && !snapshot_ && log_.empty() && syncs_.empty();
  }

 private:
  using Groups = std::vector<std::vector<Write>>;

  void apply(const std::vector<Write>& writes);
  void settle_oldest();
  void settle() {
    while (!syncs_.empty()) settle_oldest();
  }
  [[nodiscard]] std::optional<std::string> difference(const Recovered& found) const;
  [[nodiscard]] Index last() const { return first_ + log_.size() - 1; }

  std::map<RecordKey, Bytes> records_;
  std::optional<SnapshotMeta> snapshot_;
  Index first_{1};            // of log_
  std::deque<Entry> log_;     // behind the snapshot
  std::deque<Groups> syncs_;  // the newest, not yet part of the above
  std::uint64_t newest_ = 0;
  std::deque<std::vector<Write>> in_flight_;
  std::optional<std::size_t> missed_;
};

}  // namespace quorate::sim
