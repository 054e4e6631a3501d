// What a leader knows of one other member.
//
//   probe      it is not known where its log matches: one message at a time
//   replicate  it matched: messages are pipelined, up to a bound of unacknowledged ones
//   snapshot   what it needs was cut away: nothing until the host has brought it a state
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/ids.h"
#include "core/time.h"

namespace quorate::raft {

// The last index of each unacknowledged append message, oldest first; a ring of fixed capacity.
class Inflight {
 public:
  explicit Inflight(std::size_t capacity) : ends_(capacity == 0 ? 1 : capacity) {}
  [[nodiscard]] bool full() const { return count_ == ends_.size(); }
  [[nodiscard]] std::size_t count() const { return count_; }
  void add(Index end) {
    if (full()) return;
    ends_[(head_ + count_++) % ends_.size()] = end;
  }
  void acknowledge(Index upto) {
    while (count_ != 0 && ends_[head_] <= upto) {
      head_ = (head_ + 1) % ends_.size();
      --count_;
    }
  }
  void clear() { count_ = 0; }
  [[nodiscard]] Index at(std::size_t i) const { return ends_[(head_ + i) % ends_.size()]; }  // 0: the oldest

 private:
  std::vector<Index> ends_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

struct Progress {
  enum class Flow : std::uint8_t { probe, replicate, snapshot };

  Progress(NodeId who, Index from, std::size_t max_inflight, Instant now)
      : id(who), next(from), inflight(max_inflight), heard(now) {}

  NodeId id;
  Index match;  // its log is known to hold, durably, what ours does up to here
  Index next;   // the next entry to send
  Flow flow = Flow::probe;
  bool paused = false;          // probe: a message is out; until an answer or the next heartbeat
  bool snapshot_tried = false;  // since the last heartbeat tick
  Inflight inflight;
  Index commit_sent;               // the greatest commit index a message told it
  bool advanced = false;           // acknowledged something new since the last heartbeat tick
  bool nudge = false;              // did not for a whole interval: messages may be lost, so ask where it is
  std::optional<Instant> leaving;  // no longer a member: served until then, so that it learns of it
  Instant heard;                   // last reply of this term
  bool forgiven = false;           // since then: the leader stood still, which is not held against it
  std::uint64_t acked_round = 0;   // the latest heartbeat round it answered
  Instant acked_sent = Instant::min();  // when that round was sent

  void probe_from(Index index) {
    flow = Flow::probe;
    paused = false;
    next = index;
    inflight.clear();
  }
};

}  // namespace quorate::raft
