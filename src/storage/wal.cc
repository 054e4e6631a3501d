#include "storage/wal.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/crc32c.h"
#include "storage/wal_codec.h"
#include "storage/wal_format.h"
#include "storage/wal_newest.h"
#include "storage/wal_recovery.h"
#include "storage/wal_salvage.h"
#include "storage/wal_segment.h"
#include "storage/wal_spares.h"
#include "storage/wal_state.h"

namespace quorate::storage {
namespace wal {
namespace {

// A write of the batch that is being gathered, as far as a KeyspaceState needs it.
struct Appended {
  Index first;
  std::uint64_t count = 0;
  bool contiguous = true;
};
using Change = std::variant<PutRecord, Appended, TruncateFrom, SnapshotTaken>;

bool holds_record(const std::pair<KeyspaceId, Change>& change) {
  return std::holds_alternative<PutRecord>(change.second);
}

Appended summary(const AppendEntries& write) {
  if (write.entries.empty()) return {};
  Appended appended{write.entries.front().index, write.entries.size(), true};
  for (std::size_t i = 0; i < write.entries.size(); ++i) {
    appended.contiguous = appended.contiguous && write.entries[i].index == appended.first + i;
  }
  return appended;
}

class Log final : public Wal {
 public:
  Log(Disk& disk, const WalConfig& config, RecoveredLog recovered)
      : disk_(&disk),
        identity_{config.cluster, config.node},
        segment_bytes_(round_up(std::max<std::uint64_t>(config.segment_bytes, 4 * page), page)),
        spares_(disk, segment_bytes_, recovered.spares),
        states_(std::move(recovered.states)),
        note_(disk, recovered.noted),
        segments_(std::move(recovered.segments)),
        writer_(std::move(recovered.writer)),
        capacity_(recovered.capacity),
        next_batch_(recovered.next_batch),
        plain_before_(recovered.plain_before) {
    begin_batch();
  }

  // A new log, from this segment on, or the tidying up that a crash prevented.
  IoResult<void> start(const std::vector<std::string>& released, std::uint64_t first = 1) {
    if (segments_.empty()) {
      if (auto begun = begin_segment(first); !begun) return begun;
    }
    if (auto noted = note_.move_to(segments_.rbegin()->first); !noted) return noted;
    for (const auto& name : released) {
      if (auto recycled = spares_.recycle(name); !recycled) return recycled;
    }
    publish();
    return {};
  }

  void append(KeyspaceId keyspace, std::span<const Write> writes) override {
    if (failed_) return;
    const std::size_t before = batch_.size();
    encode_group(batch_, keyspace, writes);
    body_crc_ = crc32c(batch_.view(before), body_crc_);
    for (const auto& write : writes) {
      changes_.emplace_back(keyspace, std::visit(
                                          []<class T>(const T& shape) -> Change {
                                            if constexpr (std::is_same_v<T, AppendEntries>)
                                              return summary(shape);
                                            else
                                              return shape;
                                          },
                                          write));
    }
  }

  IoResult<void> sync() override {
    if (failed_) return std::unexpected(*failed_);
    if (pending_bytes() == 0) return {};
    auto done = write_batch();
    if (!done) {
      failed_ = done.error();
      return done;
    }
    begin_batch();
    publish();
    return {};
  }

  [[nodiscard]] std::uint64_t pending_bytes() const override { return batch_.size() - batch_header_bytes; }

  [[nodiscard]] Stats stats() const override {
    const std::lock_guard lock(stats_mutex_);
    return stats_;
  }

 private:
  void begin_batch() {
    batch_.clear();
    batch_.advance_to(batch_.room(batch_header_bytes) + batch_header_bytes);
    body_crc_ = 0;
    changes_.clear();
  }

  // A new segment begins with a checkpoint of what is durable, so before the batch's own changes are applied.
  IoResult<void> write_batch() {
    const std::uint64_t bytes = batch_.size();
    const bool fits = writer_.offset() + round_up(bytes, sector) <= capacity_;
    if (!fits && batches_in_segment_ != 0) {
      if (auto begun = begin_segment(segments_.rbegin()->first + 1); !begun) return begun;
    }
    if (auto applied = apply_changes(); !applied) return applied;
    seal(batch_, 0, BatchKind::writes, body_crc_);
    if (auto written = writer_.write(batch_); !written) return written;
    if (auto synced = writer_.sync(); !synced) return synced;
    segments_.rbegin()->second = writer_.offset();
    ++batches_in_segment_;
    appended_bytes_ += bytes;
    ++syncs_;
    spares_.prepare(std::max(segment_bytes_ / 256, 2 * bytes));
    return {};
  }

  // Fills in the header that stands `at` bytes into the buffer, for the batch from there to its end.
  void seal(WriteBuffer& buffer, std::size_t at, BatchKind kind, std::uint32_t body_crc) {
    const bool plain = kind == BatchKind::writes && std::ranges::none_of(changes_, holds_record);
    const BatchHeader header{.kind = kind,
                             .plain = {plain, plain_before_},
                             .segment = segments_.rbegin()->first,
                             .number = next_batch_++,
                             .offset = writer_.offset() + at,
                             .body_bytes = buffer.size() - at - batch_header_bytes,
                             .body_crc = body_crc};
    plain_before_ = plain_behind(header);
    encode(header, identity_, buffer.data() + at);
  }

  IoResult<void> apply_changes() {
    const std::uint64_t segment = segments_.rbegin()->first;
    for (const auto& [keyspace, change] : changes_) {
      auto& state = states_[keyspace];
      if (const auto* put = std::get_if<PutRecord>(&change)) {
        state.put(*put);
      } else if (const auto* appended = std::get_if<Appended>(&change)) {
        const Index last = state.last();
        if (!appended->contiguous || !state.append(appended->first, appended->count, segment)) {
          return std::unexpected(IoError{
              IoErrorKind::failed, "append to keyspace " + to_string(keyspace) + ": entries from " +
                                       to_string(appended->first) + " do not follow " + to_string(last)});
        }
      } else if (const auto* cut = std::get_if<TruncateFrom>(&change)) {
        state.truncate(cut->index);
      } else {
        state.take_snapshot(std::get<SnapshotTaken>(change).meta);
      }
    }
    return {};
  }

  // The first segment that holds an entry behind its keyspace's snapshot, and whose that is; `otherwise`
  // where there is none.
  [[nodiscard]] std::pair<std::uint64_t, KeyspaceId> oldest_needed(std::uint64_t otherwise) const {
    std::pair<std::uint64_t, KeyspaceId> oldest{otherwise, {}};
    for (const auto& [keyspace, state] : states_) {
      const auto needed = state.oldest_segment();
      if (needed && *needed < oldest.first) oldest = {*needed, keyspace};
    }
    return oldest;
  }

  // A schedule that must not go wrong: (1) header and checkpoint are durable under the spare's name, (2) the
  // file takes its name as a segment, (3) that is durable, (4) it is noted as the newest, (5) only now are
  // older segments given up, since the new header is what says they are not needed. Should a crash undo the
  // renaming of one of those after it was overwritten, nobody looks into it: it is older than the oldest
  // needed.
  IoResult<void> begin_segment(std::uint64_t sequence) {
    const auto [oldest, keyspace] = oldest_needed(sequence);
    if (!segments_.empty() && oldest < segments_.begin()->first) {
      return std::unexpected(IoError{IoErrorKind::failed, "keyspace " + to_string(keyspace) +
                                                              " needs segment " + std::to_string(oldest) +
                                                              ", which was released"});
    }
    WriteBuffer buffer;
    buffer.advance_to(buffer.room(sector + batch_header_bytes) + sector + batch_header_bytes);
    encode_checkpoint(buffer, states_);
    const std::uint64_t filled = round_up(buffer.size(), page);
    // Where checkpoints are large, segments grow with them, or nothing but checkpoints would be written.
    const std::uint64_t capacity = std::max(segment_bytes_, filled + round_up(segment_bytes_ / 2, page));
    auto spare = spares_.take(capacity);
    if (!spare) return std::unexpected(spare.error());

    const std::uint64_t previous_end = segments_.empty() ? 0 : writer_.offset();
    encode(SegmentHeader{format_version, identity_, sequence, oldest, next_batch_, previous_end, capacity},
           buffer.data());
    segments_[sequence] = 0;
    writer_ = SegmentWriter(std::move(spare->file), spare->written, capacity);
    seal(buffer, sector, BatchKind::checkpoint, crc32c(buffer.view(sector + batch_header_bytes)));
    if (auto written = writer_.write(buffer); !written) return written;
    if (auto synced = writer_.sync(); !synced) return synced;
    if (auto renamed = disk_->rename(spare->name, segment_name(sequence)); !renamed) return renamed;
    if (auto synced = disk_->sync_directory(); !synced) return synced;
    segments_[sequence] = writer_.offset();
    capacity_ = capacity;
    batches_in_segment_ = 0;
    if (auto noted = note_.move_to(sequence); !noted) return noted;
    return release(oldest);
  }

  IoResult<void> release(std::uint64_t oldest) {
    while (segments_.begin()->first < oldest) {
      if (auto recycled = spares_.recycle(segment_name(segments_.begin()->first)); !recycled) return recycled;
      segments_.erase(segments_.begin());
    }
    return {};
  }

  void publish() {
    const auto [oldest, keyspace] = oldest_needed(segments_.rbegin()->first);
    Stats stats;
    stats.segments = segments_.size() + spares_.count();
    for (auto it = segments_.lower_bound(oldest); it != segments_.end(); ++it) stats.live_bytes += it->second;
    stats.appended_bytes = appended_bytes_;
    stats.syncs = syncs_;
    stats.oldest_keyspace = keyspace;
    const std::lock_guard lock(stats_mutex_);
    stats_ = stats;
  }

  Disk* disk_;
  Identity identity_;
  std::uint64_t segment_bytes_;
  SparePool spares_;
  States states_;
  NewestNote note_;
  std::map<std::uint64_t, std::uint64_t> segments_;  // sequence, and where its batches end
  SegmentWriter writer_;
  std::uint64_t capacity_ = 0;
  std::uint64_t batches_in_segment_ = 1;  // behind the checkpoint; a recovered segment may be full
  std::uint64_t next_batch_ = 1;
  std::uint32_t plain_before_ = 0;  // of the next batch
  WriteBuffer batch_;
  std::uint32_t body_crc_ = 0;
  std::vector<std::pair<KeyspaceId, Change>> changes_;
  std::optional<IoError> failed_;
  std::uint64_t appended_bytes_ = 0;
  std::uint64_t syncs_ = 0;
  mutable std::mutex stats_mutex_;
  Stats stats_;
};

}  // namespace
}  // namespace wal

std::expected<Wal::Opened, WalError> Wal::open(Disk& disk, const WalConfig& config) {
  auto recovered = wal::recover(disk, {config.cluster, config.node});
  if (!recovered) return std::unexpected(recovered.error());
  Opened opened;
  opened.keyspaces = std::move(recovered->keyspaces);
  opened.torn_bytes = recovered->torn_bytes;
  const auto released = std::move(recovered->released);
  if (recovered->fresh()) {
    // Spares of a log that is no more may hold batches of the very segment that begins.
    for (const auto& name : std::exchange(recovered->spares, {})) {
      if (auto removed = disk.remove(name); !removed)
        return std::unexpected(wal::io_failure(removed.error()));
    }
  }
  auto log = std::make_unique<wal::Log>(disk, config, std::move(*recovered));
  if (auto started = log->start(released); !started) return std::unexpected(wal::io_failure(started.error()));
  opened.wal = std::move(log);
  return opened;
}

std::expected<Wal::Salvage, WalError> Wal::salvage(Disk& disk, const WalConfig& config) {
  return wal::salvage(disk, {config.cluster, config.node});
}

// Until the new segment has its name, the damaged log is the log. From then on it is the last one, and says
// that it needs none before it.
std::expected<void, WalError> Wal::begin_anew(Disk& disk, const WalConfig& config, const Salvage& salvage,
                                              const std::map<KeyspaceId, std::vector<Write>>& keyspaces) {
  const auto names = disk.list();
  if (!names) return std::unexpected(wal::io_failure(names.error()));
  wal::RecoveredLog fresh;
  fresh.next_batch = salvage.next_batch;
  fresh.noted = wal::noted_newest(*names);
  for (const auto& name : *names) {
    if (wal::parse_spare_name(name)) fresh.spares.push_back(name);
  }
  for (const auto& [keyspace, writes] : keyspaces) {
    auto& state = fresh.states[keyspace];
    for (const auto& write : writes) {
      if (const auto* put = std::get_if<PutRecord>(&write)) state.put(*put);
      if (const auto* snapshot = std::get_if<SnapshotTaken>(&write)) state.take_snapshot(snapshot->meta);
    }
  }
  wal::Log log(disk, config, std::move(fresh));
  auto done = log.start({}, salvage.last_segment + 1);
  if (done) done = wal::set_aside(disk, *names);
  if (!done) return std::unexpected(wal::io_failure(done.error()));
  return {};
}

}  // namespace quorate::storage
