// What a node's log must give back when the node starts again: everything that was reported durable, and of
// the groups of writes behind that, some prefix. Kept beside the log and compared with what it recovers.
#pragma once

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
  void submitted(const std::vector<Write>& writes) { in_flight_.push_back(writes); }
  // The first `groups` groups in flight were reported durable, by one sync.
  void synced(std::size_t groups) {
    if (groups == 0) return;
    settle();
    for (; groups != 0; --groups, in_flight_.pop_front()) last_.push_back(std::move(in_flight_.front()));
  }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }

  // The log recovered this. What it differs in from everything it may give, or none; afterwards the shadow
  // is what was recovered.
  [[nodiscard]] std::optional<std::string> recovered(const Recovered& found);
  // What the last recovered() missed is just what the last sync had made durable: damage there looks like its
  // torn end.
  [[nodiscard]] bool missed_only_the_last() const { return missed_only_the_last_; }
  void reset(const Recovered& found);
  // Whether a damaged log gave back these records, be they of the durable writes or with some in flight.
  [[nodiscard]] bool had(const std::map<RecordKey, Bytes>& records) const;

  // A disk without faults, for scenarios: what it holds, and a crash that loses all that was in flight.
  [[nodiscard]] Recovered contents();
  void lose_in_flight() { in_flight_.clear(); }
  [[nodiscard]] bool empty() const { return records_.empty() && !snapshot_ && log_.empty() && last_.empty(); }

 private:
  void apply(const std::vector<Write>& writes);
  void settle() {
    for (const auto& writes : last_) apply(writes);
    last_.clear();
  }
  [[nodiscard]] std::optional<std::string> difference(const Recovered& found) const;
  [[nodiscard]] Index last() const { return first_ + log_.size() - 1; }

  std::map<RecordKey, Bytes> records_;
  std::optional<SnapshotMeta> snapshot_;
  Index first_{1};                        // of log_
  std::deque<Entry> log_;                 // behind the snapshot
  std::vector<std::vector<Write>> last_;  // durable by the latest sync, not yet part of the above
  std::deque<std::vector<Write>> in_flight_;
  bool missed_only_the_last_ = false;
};

}  // namespace quorate::sim
