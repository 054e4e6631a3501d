// The store as it was at an earlier revision.
//
// Every event says which one it superseded: a chain from the newest version of a key to its first. The
// `versions` table has landmarks on it, every so many versions and at each deletion (where a chain ends), so
// that a search takes one seek and a few steps, and a put seldom writes one. The version a key had at
// revision R is found from the oldest landmark later than R, or from the live record where there is none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/etcd/key_range.h"
#include "models/etcd/tables.h"
#include "storage/engine.h"

namespace quorate::models::etcd {

// Whether the `versions` table has a row for this event.
constexpr std::int64_t versions_per_landmark = 16;
constexpr bool is_landmark(bool deleted, std::int64_t version) {
  return deleted || version % versions_per_landmark == 0;
}

// Tail of the record of `key` as of `revision`; nothing if it did not exist then. Not for compacted
// revisions.
std::optional<std::string> read_version(const storage::Reader& reader, std::string_view key,
                                        std::int64_t revision);

// Where changes of `key` from `from` on stand in history, oldest first: the first of them, no more than lie
// between two landmarks. None if there are none.
std::vector<Position> next_versions(const storage::Reader& reader, std::string_view key, Position from);

// Walks the records of a range of more than one key in key order, as of an earlier revision.
class PastScan {
 public:
  PastScan(const storage::Reader& reader, const KeyRange& range, std::int64_t revision);
  [[nodiscard]] bool valid() const { return live_here_ || marked_here_; }
  void next();
  [[nodiscard]] std::string_view key() const { return live_here_ ? live_->key() : marked_key_; }
  [[nodiscard]] std::string_view tail() const { return unchanged_ ? tail_of(live_->value()) : tail_; }

 private:
  void pass();
  void settle();
  void choose();
  [[nodiscard]] bool existed();
  [[nodiscard]] Position landmark();
  void take_marked_key();
  void pass_marked_key();

  const storage::Reader& reader_;
  const KeyRange& range_;
  std::int64_t revision_;
  std::unique_ptr<storage::Cursor> live_;   // in `current`
  std::unique_ptr<storage::Cursor> marks_;  // in `versions`, at rows of marked_key_ unless that is behind
  std::string marked_prefix_;               // empty: no more landmarks in the range
  std::string marked_key_;
  bool live_here_ = false;    // the key at hand is in `current`,
  bool marked_here_ = false;  // and has landmarks; if neither, the scan is through
  bool unchanged_ = false;    // the live record is the one of revision_
  std::string tail_;
};

}  // namespace quorate::models::etcd
