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
  Lies& lies = disk_faults_.lies();
  if (members == nullptr ? !lies.log_damaged() : !lies.state_lost())
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
  if (const auto lacking = shadow_.lacking(records); lacking != 0) {
    // The segment in front of a lost one looks damaged where what it needs is recycled already.
    refusal_ = "saved other records from a damaged log than were durable";
    lost_silently(lies.may_miss_segment() ||
                  (lacking && lies.may_save_without(shadow_.newest_sync(), *lacking)));
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
  anew_ = Anew{anew.contents(), records, lies.mark()};
  const auto begun = storage::Wal::begin_anew(disk_, log_config(), *saved, {{keyspace, std::move(*writes)}});
  if (!begun) refusal_ = begun.error().what;
  return begun.has_value();
}

// From now on the new log is what must be found again.
void Node::took_place() {
  shadow_.reset(anew_->contents);
  disk_faults_.lies().forget(anew_->lies, !disk_.spoiled());
  stage_->checks.damaged(id_, anew_->saved);
  anew_.reset();
  ++stage_->rejoined;
  const auto names = disk_.list();
  if (!names) return;
  for (const auto& name : *names) {  // of the damaged log, which nobody wants to look at here
    if (storage::wal::parse_damaged_name(name)) (void)disk_.remove(name);
  }
}

// Whether the log holds what it must. `torn`: it says that it cut its end.
bool Node::accept(const Recovered& recovered, bool torn) {
  if (anew_ && recovered.records == anew_->contents.records) took_place();
  anew_.reset();
  const auto lost = shadow_.recovered(recovered);
  if (!lost) return true;
  refusal_ = "recovered " + *lost;
  const Lies& lies = disk_faults_.lies();
  const auto missed = shadow_.missed();
  lost_silently(lies.may_miss_segment() || (missed && lies.may_miss(shadow_.newest_sync(), *missed, torn)));
  return false;
}

// A node that forgot what it had answered for is more than protocols promise to survive: it takes no further
// part, and is counted.
void Node::lost_silently(bool excused) {
  silent_loss_ = true;
  ++stage_->silent_losses;
  if (!excused) stage_->checks.fail("recovery", fmt::format("node {} {}", id_.value, refusal_));
}

}  // namespace quorate::sim
