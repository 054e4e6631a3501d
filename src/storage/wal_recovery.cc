#include "storage/wal_recovery.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/wal_newest.h"
#include "storage/wal_replay.h"

namespace quorate::storage::wal {
namespace {

template <class T>
using Result = std::expected<T, WalError>;

struct Segment {
  std::string name;
  std::unique_ptr<File> file;
  SegmentHeader header;
};

Result<Segment> open_segment(Disk& disk, std::uint64_t sequence, const Identity& identity) {
  Segment segment{.name = segment_name(sequence), .file = nullptr, .header = {}};
  auto file = disk.open(segment.name);
  if (!file && file.error().kind == IoErrorKind::not_found) {
    return std::unexpected(corrupt(segment.name, 0, "the segment is missing"));
  }
  if (!file) return std::unexpected(io_failure(file.error()));
  segment.file = std::move(*file);
  auto header = SegmentReader(*segment.file, segment.name, identity).header();
  if (!header) return std::unexpected(header.error());
  if (header->identity != identity) {
    return std::unexpected(WalError{
        WalError::Kind::alien, segment.name + ": written by node " + to_string(header->identity.node) +
                                   " of cluster " + to_string(header->identity.cluster) + ", this is node " +
                                   to_string(identity.node) + " of cluster " + to_string(identity.cluster) +
                                   ". Start this node with its own data directory."});
  }
  const auto size = segment.file->size();
  if (!size) return std::unexpected(io_failure(size.error()));
  if (header->sequence != sequence) {
    return std::unexpected(
        corrupt(segment.name, 0, "the file holds segment " + std::to_string(header->sequence)));
  }
  if (*size < header->capacity)
    return std::unexpected(corrupt(segment.name, *size, "the file was cut short"));
  segment.header = *header;
  return segment;
}

class Recovery {
 public:
  Recovery(Disk& disk, const Identity& identity) : disk_(&disk), identity_(identity) {}

  Result<RecoveredLog> run() {
    if (auto listed = list(); !listed) return std::unexpected(listed.error());
    if (sequences_.empty()) return std::move(log_);
    if (auto opened = open_segments(); !opened) return std::unexpected(opened.error());
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      const bool last = i + 1 == segments_.size();
      auto replayed = last ? replay_last(segments_[i]) : replay_closed(segments_[i], segments_[i + 1].header);
      if (!replayed) return std::unexpected(replayed.error());
    }
    if (auto taken = replay_.finish(log_.states, log_.keyspaces); !taken) {
      return std::unexpected(contradiction(segments_.back().name, log_.writer.offset(), taken.error()));
    }
    return std::move(log_);
  }

 private:
  Result<void> list() {
    auto names = disk_->list();
    if (!names) return std::unexpected(io_failure(names.error()));
    log_.noted = noted_newest(*names);
    for (auto& name : *names) {
      if (const auto sequence = parse_segment_name(name)) sequences_.push_back(*sequence);
      if (parse_spare_name(name)) log_.spares.push_back(std::move(name));
    }
    std::ranges::sort(sequences_);
    if (log_.noted > (sequences_.empty() ? 0 : sequences_.back()))
      return std::unexpected(corrupt(segment_name(log_.noted), 0, "the segment is missing"));
    return {};
  }

  // The last segment says which was the oldest needed when it began; older ones wait for being recycled.
  Result<void> open_segments() {
    auto last = open_segment(*disk_, sequences_.back(), identity_);
    if (!last) return std::unexpected(last.error());
    const std::uint64_t oldest = last->header.oldest;
    if (oldest == 0 || oldest > last->header.sequence) {
      return std::unexpected(corrupt(last->name, 0, "the header names an impossible oldest segment"));
    }
    for (const auto sequence : sequences_) {
      if (sequence < oldest) log_.released.push_back(segment_name(sequence));
    }
    for (auto sequence = oldest; sequence < last->header.sequence; ++sequence) {
      auto segment = open_segment(*disk_, sequence, identity_);
      if (!segment) return std::unexpected(segment.error());
      segments_.push_back(std::move(*segment));
    }
    segments_.push_back(std::move(*last));
    log_.next_batch = segments_.front().header.first_batch;
    return {};
  }

  Result<void> apply(const Segment& segment, const Batch& batch) {
    const bool first = batch.header.number == segment.header.first_batch;
    std::string problem = "a batch of the wrong kind";
    if (first == (batch.header.kind == BatchKind::checkpoint)) {
      auto applied =
          first ? replay_.checkpoint(batch.body) : replay_.writes(batch.body, segment.header.sequence);
      if (applied) {
        ++log_.next_batch;
        return {};
      }
      problem = applied.error();
    }
    return std::unexpected(contradiction(segment.name, batch.header.offset, problem));
  }

  // A segment with a successor: the successor was begun when all of this one was durable.
  Result<void> replay_closed(Segment& segment, const SegmentHeader& next) {
    SegmentReader reader(*segment.file, segment.name, identity_);
    std::uint64_t offset = sector;
    if (segment.header.first_batch != log_.next_batch) {
      return std::unexpected(corrupt(segment.name, 0, "batches are missing in front of this segment"));
    }
    while (offset < next.previous_end) {
      auto batch = reader.batch(segment.header.sequence, offset, log_.next_batch);
      if (!batch) return std::unexpected(io_failure(batch.error()));
      if (const auto* bad = std::get_if<BadBatch>(&*batch)) {
        return std::unexpected(corrupt(segment.name, offset, bad->why));
      }
      const auto& good = std::get<Batch>(*batch);
      if (auto applied = apply(segment, good); !applied) return applied;
      offset = good.header.end();
    }
    log_.segments[segment.header.sequence] = offset;
    return {};
  }

  Result<void> replay_last(Segment& segment) {
    SegmentReader reader(*segment.file, segment.name, identity_);
    std::uint64_t offset = sector;
    std::optional<Batch> last;
    if (segment.header.first_batch != log_.next_batch) {
      return std::unexpected(corrupt(segment.name, 0, "batches are missing in front of this segment"));
    }
    for (;;) {
      auto batch = reader.batch(segment.header.sequence, offset, log_.next_batch);
      if (!batch) return std::unexpected(io_failure(batch.error()));
      if (const auto* bad = std::get_if<BadBatch>(&*batch)) {
        if (auto judged = judge(segment, reader, offset, *bad, last.has_value()); !judged) return judged;
        break;
      }
      last = std::move(std::get<Batch>(*batch));
      if (auto applied = apply(segment, *last); !applied) return applied;
      offset = last->header.end();
    }
    log_.segments[segment.header.sequence] = offset;
    log_.capacity = segment.header.capacity;
    log_.plain_before = plain_behind(last->header);
    const bool current = segment.header.version == format_version;
    auto settled = settle(std::move(segment), *last);
    if (!current) log_.capacity = 0;  // full: what follows is of the present format, in a segment of its own
    return settled;
  }

  // The end of the log, a torn batch, or damage? Torn is only what a crash within the last sync() can leave.
  Result<void> judge(const Segment& segment, SegmentReader& reader, std::uint64_t offset, const BadBatch& bad,
                     bool checkpoint_read) {
    const auto damage = [&](const std::string& what) {
      return std::unexpected(corrupt(segment.name, offset, what));
    };
    if (!checkpoint_read)
      return damage("the segment's checkpoint is damaged");  // it was synced before its name
    if (bad.standing == Standing::damaged) return damage(bad.why);
    const bool one_sector = bad.standing == Standing::valid && bad.header.extent() == sector;
    if (one_sector) return damage(bad.why);  // header and body are written together or not at all
    const auto behind = reader.behind(segment.header.sequence, offset, log_.next_batch);
    if (!behind) return std::unexpected(io_failure(behind.error()));
    if (behind->later)
      return damage(bad.why + ", and an intact batch stands behind it at " + std::to_string(*behind->later));
    if (behind->stray) return damage("a batch stands behind it that belongs elsewhere");
    if (bad.standing == Standing::valid) log_.torn_bytes = bad.header.extent();
    return {};
  }

  // What was read may be only in the kernel's memory: the last process may have died within its sync(), or
  // after a failed one, which leaves pages that look clean and were never written. So the last batch is
  // written again (all before it are known to be durable), with zeroes behind it over whatever was torn.
  Result<void> settle(Segment segment, const Batch& last) {
    const std::uint64_t end = last.header.end();
    const std::uint64_t zeroes_to = std::max(end, std::min(round_up(end + sector, page), log_.capacity));
    std::string bytes(zeroes_to - last.header.offset, '\0');
    encode(last.header, identity_, bytes.data());
    std::ranges::copy(last.body.view(), bytes.data() + batch_header_bytes);
    if (auto written = segment.file->write(last.header.offset, bytes); !written) {
      return std::unexpected(io_failure(written.error()));
    }
    if (auto synced = segment.file->sync(); !synced) return std::unexpected(io_failure(synced.error()));
    if (auto settled = settle_names(); !settled) return std::unexpected(io_failure(settled.error()));
    log_.writer = SegmentWriter(std::move(segment.file), end);
    return {};
  }

  // The same of the names: after a failed sync of the directory they look durable, and are written with the
  // next change in it. So there is one. Else the newest segment could be noted (NewestNote), and have no
  // name.
  IoResult<void> settle_names() {
    std::uint64_t last = 0;
    for (const auto& spare : log_.spares) last = std::max(last, parse_spare_name(spare).value_or(0));
    const std::string name = spare_name(last + 1);  // what a crash leaves of it is an unfinished spare
    if (auto created = disk_->create(name); !created) return std::unexpected(created.error());
    if (auto synced = disk_->sync_directory(); !synced) return synced;
    return disk_->remove(name);
  }

  Disk* disk_;
  Identity identity_;
  std::vector<std::uint64_t> sequences_;
  std::vector<Segment> segments_;
  Replay replay_;
  RecoveredLog log_;
};

}  // namespace

std::expected<RecoveredLog, WalError> recover(Disk& disk, const Identity& identity) {
  return Recovery(disk, identity).run();
}

}  // namespace quorate::storage::wal
