// Commands this replica took from clients and has no outcome for yet, by number. Numbers are dense, so this
// is a ring: the oldest unsettled number is its base.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "core/bytes.h"
#include "core/time.h"
#include "replica/operations.h"

namespace quorate::replica {

class PendingCommands {
 public:
  struct Slot {
    Bytes body;
    Done done;
    Instant deadline;
    Instant sent_at;       // of the last attempt
    bool sent = false;     // at least once: from then on it may happen
    bool queued = false;   // waits for the next pump
    unsigned repeats = 0;  // attempts that nothing was heard of; those after a refusal do not count
  };

  std::uint64_t add(Bytes body, Done done, Instant deadline) {
    bytes_ += body.size();
    ++count_;
    slots_.emplace_back(Slot{std::move(body), std::move(done), deadline, {}, false, true, 0});
    return base_ + slots_.size() - 1;
  }

  [[nodiscard]] Slot* find(std::uint64_t number) {
    if (number < base_ || number - base_ >= slots_.size()) return nullptr;
    auto& slot = slots_[number - base_];
    return slot ? &*slot : nullptr;
  }

  // Takes the operation out; its outcome is known now.
  std::optional<Done> settle(std::uint64_t number) {
    Slot* slot = find(number);
    if (!slot) return std::nullopt;
    Done done = std::move(slot->done);
    bytes_ -= slot->body.size();
    --count_;
    slots_[number - base_].reset();
    while (!slots_.empty() && !slots_.front()) {
      slots_.pop_front();
      ++base_;
    }
    return done;
  }

  [[nodiscard]] std::uint64_t settled() const {
    return base_ - 1;
  }  // every number up to this has its outcome
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t first() const { return base_; }
  [[nodiscard]] std::uint64_t end() const { return base_ + slots_.size(); }

 private:
  std::deque<std::optional<Slot>> slots_;
  std::uint64_t base_ = 1;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace quorate::replica
