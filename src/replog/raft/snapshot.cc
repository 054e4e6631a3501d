// Log compaction (§5.1) and InstallSnapshot (§5.2). The state itself travels between hosts; here it is
// decided who needs one, whether a received one is wanted, and what of the log it replaces.
#include <algorithm>

#include "replog/raft/raft.h"

namespace quorate::raft {

// The host's own state is durable at this index. Some entries behind it stay in memory for followers that
// lag.
void Raft::ask(Context& /*c*/, replicated_log::SnapshotAvailable& request) {
  const Index index = request.meta.index;
  if (restoring_ || index <= snapshot_index_ || index > applied_ || index < log_.base()) return;
  // A node that joined with no membership of its own, and has not come to the first one in the log, does not
  // know who took part at this index: its snapshot would be of no use to anyone.
  if (!valid(membership_at(index))) return;
  // What only the log knows is taken from the log: the term and the configuration at that index (§5.1).
  stage_log(SnapshotTaken{SnapshotMeta{index, log_.term(index), membership_at(index), request.meta.digest}});
  snapshot_index_ = index;
  log_.compact(log_.kept_behind(index, settings_.keep_entries, settings_.keep_bytes));
  while (configs_.size() > 1 && configs_[1].index <= index) configs_.erase(configs_.begin());
}

// Only for a node that answers: one that is down would cost a transfer each time it does not end well. And
// once in a heartbeat at most, should it not take what it is brought.
void Raft::request_snapshot(Context& c, Progress& p) {
  if (p.snapshot_tried || p.heard + settings_.election_timeout < c.env.now) return;
  p.snapshot_tried = true;
  p.flow = Progress::Flow::snapshot;
  c.out.emit(replicated_log::SendSnapshot{p.id, term_});
}

void Raft::ask(Context& c, replicated_log::SnapshotDelivered& request) {
  auto* p = find(request.to);
  if (state_ != State::leader || p == nullptr || p->flow != Progress::Flow::snapshot) return;
  const Index next = request.ok && request.index <= log_.last() ? request.index.next() : p->match.next();
  p->probe_from(std::max(next, p->match.next()));
  p->paused = !request.ok;  // until the next heartbeat
  replicate(c, *p);
}

// A snapshot holds committed state only, so one of any leader is right; it is wanted if it is ahead.
void Raft::ask(Context& c, replicated_log::SnapshotReceived& request) {
  const SnapshotMeta& meta = request.meta;
  if (!plausible(request.epoch) || meta.epoch > request.epoch || meta.epoch.none() || !valid(meta.membership))
    return;
  constexpr std::uint64_t max_index = std::uint64_t{1} << 62U;
  if (meta.index.value > max_index || state_ == State::leader || restoring_) return;
  if (request.epoch > term_) become_follower(c, request.epoch, NodeId());
  const auto acknowledge = [&](Index index, Ticket after) {
    if (!leader_.none())  // whoever sent it: what is committed is in the log of each later leader (§3.6.3)
      send(c, leader_, AppendEntriesReply{term_, true, index, Epoch(), Index()}, after);
  };
  if (meta.index <= commit_) return acknowledge(commit_, flush(c));

  const bool continues = log_.matches(meta.index, meta.epoch);  // §5.2: what follows it is kept
  if (continues) {
    log_.compact(meta.index);
  } else {
    if (log_.last() >= meta.index) stage_log(TruncateFrom{commit_.next()});
    log_.reset(meta.index, meta.epoch);
    for (auto& write : unsettled_) write.last = Index();  // the write below is what makes the new log durable
    durable_ = Index();
  }
  stage_log(SnapshotTaken{meta});
  snapshot_index_ = commit_ = meta.index;
  std::erase_if(configs_, [&](const Config& config) { return !continues || config.index <= meta.index; });
  configs_.insert(configs_.begin(), {meta.index, meta.membership});
  incoming_ = membership().voters();
  const Ticket ticket = flush(c);
  restoring_ = Restoring{ticket, meta};
  acknowledge(meta.index, ticket);
}

// The log is cut in front of a state that is durable already: now it becomes the live one. Committed entries
// are held back until here, so the host sees them behind the Restore.
void Raft::finish_restore(Context& c) {
  applied_ = restoring_->meta.index;
  c.out.emit(replicated_log::Restore{restoring_->meta});
  restoring_.reset();
  config_changed(c);
}

}  // namespace quorate::raft
