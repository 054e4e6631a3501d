// A simulated node's log at its start: opened, or begun anew where it is damaged, and compared with what must
// be there.
#include <fmt/format.h>

#include "sim/node.h"
#include "storage/wal_format.h"

namespace quorate::sim {

namespace {
constexpr KeyspaceId keyspace{1};
constexpr ClusterId cluster{7};
}  // namespace

storage::WalConfig Node::log_config() const {
  return {.segment_bytes = stage_->tuning.segment_bytes, .cluster = cluster, .node = id_};
}

std::optional<storage::Wal::Opened> Node::open_log() {
  auto opened = storage::Wal::open(disk_, log_config());
  if (opened) return std::move(*opened);
  refusal_ = opened.error().what;
  if (opened.error().kind != storage::WalError::Kind::corrupt || !begin_log_anew(nullptr))
    return std::nullopt;
  opened = storage::Wal::open(disk_, log_config());
  if (opened) return std::move(*opened);
  refusal_ = opened.error().what;
  return std::nullopt;
}

// The log is damaged: the node goes on without its entries, if all its records are there. With `members`,
// those that the log tells of, it is the state that is lost.
bool Node::begin_log_anew(const Membership* members) {
  if (stage_->options.rejoin == nullptr) return false;
  if (!disk_faults_.tampered())
    stage_->checks.fail("recovery",
                        fmt::format("node {} gives up a log that nothing damaged: {}", id_.value, refusal_));
  const auto saved = storage::Wal::salvage(disk_, log_config());
  if (!saved) {
    refusal_ = saved.error().what;
    return false;
  }
  const auto found = saved->records.find(keyspace);
  const auto records = found == saved->records.end() ? std::map<RecordKey, Bytes>{} : found->second;
  if (anew_ && records == anew_->contents.records) took_place();
  if (!shadow_.had(records)) {
    silent_loss_ = true;
    refusal_ = "saved other records from a damaged log than were durable";
    if (!disk_faults_.tampered() || disk_faults_.flipped_once() || disk_faults_.lost_once())
      stage_->checks.fail("recovery", fmt::format("node {} {}", id_.value, refusal_));
    return false;
  }
  const auto how = stage_->options.rejoin;
  auto writes = members == nullptr ? replica::Replica::rejoin(home_, id_, records, how)
                                   : replica::Replica::rejoin_without_state(id_, records, *members, how);
  if (!writes) {
    refusal_ += "; " + writes.error();
    return false;
  }
  DurableShadow anew;
  anew.submitted(*writes);
  anew.synced(1);
  anew_ = Anew{anew.contents(), records};
  const auto begun = storage::Wal::begin_anew(disk_, log_config(), *saved, {{keyspace, std::move(*writes)}});
  if (!begun) refusal_ = begun.error().what;
  return begun.has_value();
}

// From now on the new log is what must be found again.
void Node::took_place() {
  shadow_.reset(anew_->contents);
  stage_->checks.damaged(id_, anew_->saved);
  anew_.reset();
  ++stage_->rejoined;
  const auto names = disk_.list();
  if (!names) return;
  for (const auto& name : *names) {  // of the damaged log, which nobody wants to look at here
    if (storage::wal::parse_damaged_name(name)) (void)disk_.remove(name);
  }
}

// Whether the log holds what it must.
bool Node::accept(const Recovered& recovered) {
  if (anew_ && recovered.records == anew_->contents.records) took_place();
  anew_.reset();
  const auto lost = shadow_.recovered(recovered);
  if (!lost) return true;
  silent_loss_ = true;
  refusal_ = "recovered " + *lost;
  // One flipped bit may make the last batch look torn. Anywhere else it must be noticed, and so must the loss
  // of a file.
  const bool excused = disk_faults_.tampered() && !disk_faults_.lost_once() &&
                       (!disk_faults_.flipped_once() || shadow_.missed_only_the_last());
  if (!excused) stage_->checks.fail("recovery", fmt::format("node {} {}", id_.value, refusal_));
  return false;
}

}  // namespace quorate::sim
