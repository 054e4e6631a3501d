#include "check/commitment.h"

#include "check/electorate.h"

namespace quorate::check {

namespace {

std::optional<Index> lowest_cut(const std::vector<Write>& writes) {
  std::optional<Index> lowest;
  for (const Write& write : writes) {
    const auto* cut = std::get_if<TruncateFrom>(&write);
    if (cut != nullptr && (!lowest || cut->index < *lowest)) lowest = cut->index;
  }
  return lowest;
}

}  // namespace

void Commitment::committed(const Entry& entry, Epoch by) {
  if (entry.index.value > committed_.size()) committed_.resize(entry.index.value);
  committed_[entry.index.value - 1] = {entry.epoch, by};
}

std::optional<std::string> Commitment::stands(NodeId node) const {
  const Index index(committed_.size());
  const Epoch epoch = epoch_at(index);
  if (epoch.none()) return std::nullopt;
  for (NodeId id(1); id < copies_->end(); id = NodeId(id.value + 1)) {
    const LogCopy* copy = copies_->find(id);
    if (copy == nullptr || copy->holds_durably(index, epoch) || !could_lead(*copies_, id)) continue;
    return "node " + to_string(node) + " takes index " + to_string(index) + " of epoch " + to_string(epoch) +
           " for committed, but node " + to_string(id) + ", which lacks it, could still be elected";
  }
  return std::nullopt;
}

std::optional<Commitment::Kept> Commitment::before(NodeId node, Epoch epoch,
                                                   const std::vector<Write>& writes) const {
  const auto cut = lowest_cut(writes);
  const LogCopy* copy = copies_->find(node);
  if (!cut || copy == nullptr) return std::nullopt;
  Kept kept;
  const auto known = leaders_.find(epoch);
  const LogCopy* leader = known == leaders_.end() ? nullptr : copies_->find(known->second);
  // The leader of an epoch that the node enters only with these writes counted nothing of it yet.
  const bool enters = copy->epoch() != epoch;
  if (leader != nullptr && (leader == copy || leader->epoch() != epoch || enters)) leader = nullptr;
  const auto* last = copy->at(copy->last());
  for (Index index = copy->last(); index >= *cut; index = index.prev()) {
    const auto* mark = copy->at(index);
    if (mark == nullptr) break;
    if (kept.committed.none() && counted(index, mark->epoch, last->epoch)) {
      kept.committed = index;
      kept.committed_epoch = mark->epoch;
    }
    const auto* there = leader == nullptr ? nullptr : leader->at(index);
    if (kept.shared.none() && there != nullptr && there->epoch == mark->epoch) {
      kept.shared = index;
      kept.shared_epoch = mark->epoch;
      kept.leader = known->second;
    }
  }
  return kept;
}

std::optional<std::string> Commitment::after(NodeId node, const std::optional<Kept>& kept,
                                             const std::vector<Write>& writes) const {
  const LogCopy* copy = copies_->find(node);
  if (copy == nullptr) return std::nullopt;
  if (kept && !kept->committed.none() && !copy->holds(kept->committed, kept->committed_epoch))
    return "node " + to_string(node) + " gives up index " + to_string(kept->committed) + " of epoch " +
           to_string(kept->committed_epoch) + ", which was committed counting it";
  if (kept && !kept->shared.none() && !copy->holds(kept->shared, kept->shared_epoch))
    return "node " + to_string(node) + " gives up index " + to_string(kept->shared) + " of epoch " +
           to_string(kept->shared_epoch) + ", which it shares with node " + to_string(kept->leader) +
           ", the leader of its epoch " + to_string(copy->epoch());
  for (const Write& write : writes) {
    const auto* snapshot = std::get_if<SnapshotTaken>(&write);
    const auto* mark = snapshot == nullptr ? nullptr : copy->at(snapshot->meta.index);
    if (mark == nullptr || mark->epoch == snapshot->meta.epoch) continue;
    return "node " + to_string(node) + " keeps a log whose entry " + to_string(snapshot->meta.index) +
           " is of epoch " + to_string(mark->epoch) + " behind a snapshot whose last is of epoch " +
           to_string(snapshot->meta.epoch);
  }
  return std::nullopt;
}

}  // namespace quorate::check
