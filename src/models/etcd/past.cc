#include "models/etcd/past.h"

#include <algorithm>
#include <utility>

namespace quorate::models::etcd {

namespace {

constexpr std::uint32_t last_sub = 0xffffffffU;
// Landmarks of one key are stepped over one by one up to here; a seek costs about as much as so many steps.
constexpr int steps_before_seek = 8;

Position position_of(std::string_view live_row) {
  return {decode_tail(tail_of(live_row)).mod, sub_of(live_row)};
}

// From an event later than `revision` back to the record of `revision`. There is none where the chain ends
// before, and where it leads to what was compacted.
std::optional<std::string> follow(const storage::Reader& reader, Position at, std::int64_t revision) {
  std::string row;
  while (at.revision > revision) {
    if (!reader.get(table::history, history_key(at), row)) return std::nullopt;
    at = decode_event(row).superseded;
  }
  if (at.revision == 0 || !reader.get(table::history, history_key(at), row)) return std::nullopt;
  return std::string(decode_event(row).tail);
}

// The oldest landmark that is not earlier than `from`.
std::optional<Position> landmark_from(const storage::Reader& reader, std::string_view key, Position from) {
  const std::string prefix = version_prefix(key);
  const auto marks = reader.cursor(table::versions);
  marks->seek_last(version_key(prefix, from));
  if (!marks->valid() || prefix_of_version(marks->key()) != prefix) return std::nullopt;
  return version_position(marks->key());
}

}  // namespace

std::optional<std::string> read_version(const storage::Reader& reader, std::string_view key,
                                        std::int64_t revision) {
  Position newest;
  if (std::string row; reader.get(table::current, key, row)) {
    newest = position_of(row);
    if (newest.revision <= revision) return std::string(tail_of(row));
  }
  return follow(reader, landmark_from(reader, key, {revision, last_sub}).value_or(newest), revision);
}

std::vector<Position> next_versions(const storage::Reader& reader, std::string_view key, Position from) {
  Position at;
  if (const auto landmark = landmark_from(reader, key, from)) {
    at = *landmark;
  } else if (std::string row; reader.get(table::current, key, row)) {
    at = position_of(row);
  }
  std::vector<Position> found;
  std::string row;
  while (at.revision != 0 && at >= from) {
    found.push_back(at);
    if (!reader.get(table::history, history_key(at), row)) break;
    at = decode_event(row).superseded;
  }
  std::ranges::reverse(found);
  return found;
}

PastScan::PastScan(const storage::Reader& reader, const KeyRange& range, std::int64_t revision)
    : reader_(reader),
      range_(range),
      revision_(revision),
      live_(reader.cursor(table::current)),
      marks_(reader.cursor(table::versions)) {
  live_->seek(range_.begin);
  marks_->seek(version_prefix(range_.begin));
  take_marked_key();
  settle();
}

void PastScan::next() {
  pass();
  settle();
}

void PastScan::pass() {
  if (live_here_) live_->next();
  if (marked_here_) pass_marked_key();
}

void PastScan::settle() {
  for (choose(); valid() && !existed(); choose()) pass();
}

// Of the next live key and the next one that has landmarks the lesser, or both where they are the same.
void PastScan::choose() {
  const bool live = live_->valid() && !range_.ends_before(live_->key());
  const bool marked = !marked_prefix_.empty();
  live_here_ = live && (!marked || live_->key() <= marked_key_);
  marked_here_ = marked && (!live || marked_key_ <= live_->key());
}

// Whether there was a record of the key at hand, which tail() then tells.
bool PastScan::existed() {
  const Position newest = live_here_ ? position_of(live_->value()) : Position{};
  unchanged_ = live_here_ && newest.revision <= revision_;
  if (unchanged_) return true;
  const Position mark = marked_here_ ? landmark() : Position{};
  auto tail = follow(reader_, mark.revision != 0 ? mark : newest, revision_);
  if (!tail) return false;
  tail_ = std::move(*tail);
  return true;
}

// The oldest landmark of the key at hand that is later than revision_; revision 0 if there is none.
Position PastScan::landmark() {
  if (version_position(marks_->key()).revision <= revision_) return {};
  marks_->seek_last(version_key(marked_prefix_, {revision_, last_sub}));
  return version_position(marks_->key());
}

void PastScan::take_marked_key() {
  marked_prefix_.clear();
  if (!marks_->valid()) return;
  marked_key_ = key_of_version(marks_->key());
  if (!range_.ends_before(marked_key_)) marked_prefix_ = prefix_of_version(marks_->key());
}

void PastScan::pass_marked_key() {
  for (int step = 0; step < steps_before_seek; ++step) {
    marks_->next();
    if (!marks_->valid() || prefix_of_version(marks_->key()) != marked_prefix_) return take_marked_key();
  }
  marks_->seek(behind_versions(marked_prefix_));
  take_marked_key();
}

}  // namespace quorate::models::etcd
