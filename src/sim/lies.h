// What a node's disk did, without saying so, to what it holds; and what of that its log can not see, and may
// lose in silence. Everything else that a log loses, refuses or gives up is a bug.
//
//   misreads          nothing: a log reads what looks wrong so many times (`reads`) before it believes
//                     it; only with as many at one start may it refuse, or miss the newest sync
//   a flipped bit     the newest sync, where its batch then looks torn by a crash (several sectors,
//                     none behind it); elsewhere it is seen: the log refuses, or is given up
//   a write lost or   the sync it was for, if no later one shows that something is missing
//   misdirected
//   a lost file       nothing; only without the note of which segment is the newest may that one be
//                     missed, and records saved from the one in front of it
//   a sector read as  the newest sync, the same; it may strike again until it is written
//   another
//   a sector that can nothing: the log refuses
//   not be read
//   the lost state    nothing of the log
//
// Of several damages one may be hidden by the next, so each of the newest syncs may be missed that has a
// damage of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace quorate::sim {

class Lies {
 public:
  static constexpr unsigned reads = 3;
  enum class Kind : std::uint8_t { flip, write, segment, note, misplaced, unreadable, state };

  void told(Kind kind) { lies_.push_back({kind, ++count_, sync_}); }
  void lost_file(std::string_view name);
  void misread() { ++misreads_; }

  void writes_for(std::uint64_t sync) { sync_ = sync; }  // the sync that writes from now on are for
  void starts() { misreads_ = 0; }                       // a process begins to read
  // What was done up to a mark is over: all was found intact, or something else is in its place. But for bad
  // sectors: those are `mended` when there are none any more.
  [[nodiscard]] std::uint64_t mark() const { return count_; }
  void forget(std::uint64_t upto, bool mended);

  // Excuses for a log to be called damaged, for a state to be lost, for a start to be refused.
  [[nodiscard]] bool log_damaged() const;
  [[nodiscard]] bool state_lost() const { return has(Kind::state); }
  [[nodiscard]] bool damaged() const { return !lies_.empty(); }
  [[nodiscard]] bool misread_too_often() const { return misreads_ >= reads; }
  // For `missed` syncs up to the `newest` not to be found again. `torn`: the log says that it cut something.
  [[nodiscard]] bool may_miss(std::uint64_t newest, std::size_t missed, bool torn) const;
  // For all that the newest segment held.
  [[nodiscard]] bool may_miss_segment() const { return has(Kind::segment) && has(Kind::note); }
  // For the records saved from a damaged log: a damage was seen, which can not be the one that was not.
  [[nodiscard]] bool may_save_without(std::uint64_t newest, std::size_t missed) const {
    return missed < lies_.size() && may_miss(newest, missed, true);
  }

 private:
  struct Lie {
    Kind kind;
    std::uint64_t number;
    std::uint64_t sync;  // of a write
  };
  [[nodiscard]] bool has(Kind kind) const;

  std::vector<Lie> lies_;
  std::uint64_t count_ = 0;
  std::uint64_t sync_ = 0;
  unsigned misreads_ = 0;
};

}  // namespace quorate::sim
