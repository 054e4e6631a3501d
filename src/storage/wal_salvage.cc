#include "storage/wal_salvage.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "storage/wal_codec.h"
#include "storage/wal_newest.h"
#include "storage/wal_segment.h"

namespace quorate::storage::wal {
namespace {

template <class T>
using Result = std::expected<T, WalError>;

class Salvaging {
 public:
  Salvaging(std::unique_ptr<File> file, std::uint64_t sequence, const Identity& identity)
      : file_(std::move(file)),
        name_(segment_name(sequence)),
        identity_(identity),
        reader_(*file_, name_, identity) {
    found_.last_segment = sequence;
  }

  Result<Wal::Salvage> run() {
    if (auto checked = check_header(); !checked) return std::unexpected(checked.error());
    if (auto taken = take_checkpoint(); !taken) return std::unexpected(taken.error());
    for (;;) {
      auto batch = reader_.batch(found_.last_segment, offset_, found_.next_batch);
      if (!batch) return std::unexpected(io_failure(batch.error()));
      const auto* good = std::get_if<Batch>(&*batch);
      const auto passed = good ? take(*good) : pass_over(std::get<BadBatch>(*batch));
      if (!passed) return std::unexpected(passed.error());
      if (!*passed) return std::move(found_);
    }
  }

 private:
  // It may say that this log is not for us, and it alone says how long the file was.
  Result<void> check_header() {
    const auto header = reader_.header();
    if (!header && header.error().kind != WalError::Kind::corrupt) return std::unexpected(header.error());
    if (!header) return lost(0, "its header is damaged, and the file may have been cut short");
    if (header->identity != identity_) return lost(0, "another node wrote it");
    const auto size = file_->size();
    if (!size) return std::unexpected(io_failure(size.error()));
    cut_short_ = *size < header->capacity;
    return {};
  }

  Result<void> take_checkpoint() {
    const auto header = reader_.batch_header(found_.last_segment, sector);
    if (!header) return std::unexpected(io_failure(header.error()));
    if (!*header || (*header)->kind != BatchKind::checkpoint)
      return lost(sector, "the checkpoint of the records is damaged");
    auto batch = reader_.batch(found_.last_segment, sector, (*header)->number);
    if (!batch) return std::unexpected(io_failure(batch.error()));
    const auto* good = std::get_if<Batch>(&*batch);
    if (good == nullptr) return lost(sector, "the checkpoint of the records is damaged");
    States states;
    if (!decode_checkpoint(good->body, states)) return nonsense(sector);
    for (auto& [keyspace, state] : states) found_.records[keyspace] = state.records();
    step_behind(good->header);
    return {};
  }

  // Each tells whether there is more.
  Result<bool> take(const Batch& batch) {
    const bool ok = batch.header.kind == BatchKind::writes &&
                    decode_groups(batch.body, [this](KeyspaceId keyspace, const Write& write) {
                      auto& records = found_.records[keyspace];
                      const auto* put = std::get_if<PutRecord>(&write);
                      if (put == nullptr) return true;
                      records.erase(put->key);
                      if (!put->value.empty()) records[put->key] = Bytes::copy(put->value.view());
                      return true;
                    });
    if (!ok) return nonsense(offset_);
    step_behind(batch.header);
    return true;
  }

  Result<bool> pass_over(const BadBatch& bad) {
    if (bad.standing == Standing::valid && bad.header.plain.here) {
      step_behind(bad.header);
      return true;
    }
    const auto behind = reader_.behind(found_.last_segment, offset_, found_.next_batch);
    if (!behind) return std::unexpected(io_failure(behind.error()));
    if (!behind->later) {
      if (behind->stray) return lost(offset_, "a batch went astray, and may have been written over a record");
      // The file ended further on once, and batches may have stood there.
      if (cut_short_)
        return lost(offset_, "the file was cut short, and what is missing may have held a record");
      // As recovery judges the end of the log: what may be a torn write was never said to be durable.
      const bool one_sector = bad.standing == Standing::valid && bad.header.extent() == sector;
      if (bad.standing != Standing::damaged && !one_sector) return false;
      return lost(offset_, "the last batch is damaged, and may have held a record");
    }
    const auto next = reader_.batch_header(found_.last_segment, *behind->later);
    if (!next) return std::unexpected(io_failure(next.error()));
    const bool plain = bad.standing != Standing::valid && *next &&
                       (*next)->plain.before >= (*next)->number - found_.next_batch;
    if (!plain) return lost(offset_, "a damaged batch may have held a record");
    offset_ = *behind->later;
    found_.next_batch = (*next)->number;
    return true;
  }

  void step_behind(const BatchHeader& header) {
    offset_ = header.end();
    found_.next_batch = header.number + 1;
  }

  [[nodiscard]] std::unexpected<WalError> lost(std::uint64_t offset, const std::string& what) const {
    return std::unexpected(corrupt(name_, offset, what));
  }
  [[nodiscard]] std::unexpected<WalError> nonsense(std::uint64_t offset) const {
    return std::unexpected(contradiction(name_, offset, "the batch matches its checksum and makes no sense"));
  }

  std::unique_ptr<File> file_;
  std::string name_;
  Identity identity_;
  SegmentReader reader_;
  std::uint64_t offset_ = sector;
  bool cut_short_ = false;
  Wal::Salvage found_;
};

}  // namespace

Result<Wal::Salvage> salvage(Disk& disk, const Identity& identity) {
  const auto names = disk.list();
  if (!names) return std::unexpected(io_failure(names.error()));
  std::uint64_t last = 0;
  for (const auto& name : *names) last = std::max(last, parse_segment_name(name).value_or(0));
  if (const auto noted = noted_newest(*names); noted > last)
    return std::unexpected(corrupt(segment_name(noted), 0, "it is missing, and may have held a record"));
  auto file = disk.open(segment_name(last));
  if (!file) return std::unexpected(io_failure(file.error()));
  return Salvaging(std::move(*file), last, identity).run();
}

IoResult<void> set_aside(Disk& disk, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (!parse_damaged_name(name)) continue;
    if (auto removed = disk.remove(name); !removed) return removed;
  }
  for (const auto& name : names) {
    const auto sequence = parse_segment_name(name);
    if (!sequence) continue;
    if (auto renamed = disk.rename(name, damaged_name(*sequence)); !renamed) return renamed;
  }
  return disk.sync_directory();
}

}  // namespace quorate::storage::wal
