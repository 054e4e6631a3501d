// The log as it stands in memory: a base (the last index that was cut away, with its term) and the entries
// behind it. Term look-up is O(1); cutting at either end costs what is cut; payloads are shared, never
// copied.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "core/entry.h"

namespace quorate::raft {

class Log {
 public:
  [[nodiscard]] Index base() const { return base_; }
  [[nodiscard]] Epoch base_term() const { return base_term_; }
  [[nodiscard]] Index last() const { return base_ + size(); }
  [[nodiscard]] Epoch last_term() const { return size() == 0 ? base_term_ : entries_.back().epoch; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  // The entry's term is known: it is in memory, or it is the base.
  [[nodiscard]] bool knows(Index index) const { return index >= base_ && index <= last(); }
  [[nodiscard]] Epoch term(Index index) const {  // none where it is not known
    if (index == base_) return base_term_;
    return knows(index) ? at(index).epoch : Epoch();
  }
  [[nodiscard]] bool matches(Index index, Epoch term_there) const {
    return knows(index) && term(index) == term_there;
  }
  [[nodiscard]] const Entry& at(Index index) const { return entries_[(index - base_) - 1]; }

  void reset(Index base, Epoch base_term);  // empty, behind `base`
  void append(Entry entry);                 // must follow the last one
  void truncate_from(Index index);          // index > base
  void compact(Index upto);                 // cuts the prefix; upto must be known

  // Where the log may be cut so that of what is up to `index` so many entries stay, of so many bytes of
  // payload.
  [[nodiscard]] Index kept_behind(Index index, std::size_t entries, std::size_t bytes) const;

  // Entries [first, last], as many as fit `max_bytes` of payload, at least one.
  [[nodiscard]] std::vector<Entry> slice(Index first, Index last, std::size_t max_bytes) const;

  // The first index in memory that has the term of `index`.
  [[nodiscard]] Index first_of_term_at(Index index) const;
  // The greatest known index <= `upto` whose term is <= `term`; the base if there is none.
  [[nodiscard]] Index last_not_after(Epoch term, Index upto) const;

  // "At least as up-to-date" (§3.6.1): the later last term, then the longer log.
  [[nodiscard]] bool not_ahead_of(Index other_last, Epoch other_term) const {
    return other_term != last_term() ? other_term > last_term() : other_last >= last();
  }

 private:
  using Entries = std::deque<Entry>;
  [[nodiscard]] Entries::const_iterator place(Index index) const {  // base < index <= last + 1
    return entries_.begin() + static_cast<std::ptrdiff_t>((index - base_) - 1);
  }

  Index base_;
  Epoch base_term_;
  Entries entries_;
};

// What an entry costs in bounds on bytes: its payload and a constant, so that empty entries count too.
inline std::size_t cost(const Entry& entry) { return entry.payload.size() + 32; }

}  // namespace quorate::raft
