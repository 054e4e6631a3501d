// What is to happen when: a heap ordered by moment, then by the order of scheduling, so that a run never
// depends on how equal moments are broken.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "sim/clock.h"

namespace quorate::sim {

enum class EventKind : std::uint8_t {
  deliver,    // number: sender
  timer,      // number: TimerId; valid while `stamp` is the timer's
  sync,       // the log is to be written and flushed
  persisted,  // number: Ticket
  flush,      // the state is to be made durable; number: Index
  flushed,    // number: Index
  pump,
  operation,  // number: the client's operation; held back by a pause
  client,     // number: which
  fault,      // number: which; it begins
  heal,       // number: which; it ends
  restart,    // a node that is down starts
  phase,      // the next phase of the run
  ambush,     // number: which of its acts
  companion,  // number: which of its sessions
  again,      // number: a fault that goes on; node: whom it strikes
  skeptic,
  insist,  // number: a fault that may have to begin again
};

struct Event {
  EventKind kind = EventKind::phase;
  std::uint32_t node = 0;   // index of the node; meaningless for client, fault, heal, phase
  std::uint64_t stamp = 0;  // of the node's process (or timer) it belongs to; another one ignores it.
                            // Of a frame: the ReadJudge's
  std::uint64_t number = 0;
  Bytes frame{};
};

class EventQueue {
 public:
  void push(Moment at, Event event) {
    std::uint32_t slot = 0;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(events_.size());
      events_.push_back(std::move(event));
    } else {
      slot = free_.back();
      free_.pop_back();
      events_[slot] = std::move(event);
    }
    heap_.push_back({at, next_++, slot});
    std::push_heap(heap_.begin(), heap_.end(), Later());
  }

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] Moment next_at() const { return heap_.front().at; }

  Event pop() {
    std::pop_heap(heap_.begin(), heap_.end(), Later());
    const std::uint32_t slot = heap_.back().slot;
    heap_.pop_back();
    free_.push_back(slot);
    return std::move(events_[slot]);
  }

 private:
  struct Item {
    Moment at;
    std::uint64_t order;
    std::uint32_t slot;
  };
  struct Later {  // a type, and not a function: so the heap's comparisons are inlined
    bool operator()(const Item& a, const Item& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };

  std::vector<Item> heap_;
  std::vector<Event> events_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_ = 0;
};

}  // namespace quorate::sim
