// What is committed stays (Raft §5.4.3, Leader Completeness), judged before anything is lost by it:
//
//  - When an entry is committed, no node that lacks it could win an election any more, whatever crashes now:
//    of those whose logs do not say more than its own, no quorum of the configuration it goes by is left.
//  - No node gives up an entry that was committed counting its copy, which needs an entry of the epoch that
//    committed it in its log (§5.4.2); nor one that it shares with the leader of the epoch it is in, which
//    may have counted it. Who had not come that far may give up a committed entry: to a late message of a
//    leader that came before, and lacked what was committed only after it.
//  - A log goes on behind a snapshot only where it holds the snapshot's last entry.
//
// All of it must hold in every state that a correct log with leaders of epochs can reach: an election that
// could go wrong would, under some schedule.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "check/log_copies.h"

namespace quorate::check {

class Commitment {
 public:
  explicit Commitment(const LogCopies& copies) : copies_(&copies) {}

  // For the first time a node says that this entry is committed; `by` is the epoch that this node is in.
  void committed(const Entry& entry, Epoch by);
  // To be asked after a batch of those.
  [[nodiscard]] std::optional<std::string> stands(NodeId node) const;
  void leads(NodeId node, Epoch epoch) { leaders_.insert_or_assign(epoch, node); }
  [[nodiscard]] NodeId leader(Epoch epoch) const {
    const auto known = leaders_.find(epoch);
    return known == leaders_.end() ? NodeId() : known->second;
  }

  // What `node` must still hold when it has made these writes; `epoch` is its own behind them.
  struct Kept {
    Index committed;
    Index shared;
    Epoch committed_epoch;
    Epoch shared_epoch;
    NodeId leader;
  };
  [[nodiscard]] std::optional<Kept> before(NodeId node, Epoch epoch, const std::vector<Write>& writes) const;
  [[nodiscard]] std::optional<std::string> after(NodeId node, const std::optional<Kept>& kept,
                                                 const std::vector<Write>& writes) const;

 private:
  [[nodiscard]] Epoch epoch_at(Index index) const {
    return index.none() || index.value > committed_.size() ? Epoch() : committed_[index.value - 1].epoch;
  }
  [[nodiscard]] bool counted(Index index, Epoch held, Epoch last) const {
    return !index.none() && index.value <= committed_.size() && committed_[index.value - 1].epoch == held &&
           committed_[index.value - 1].by <= last;
  }

  const LogCopies* copies_;
  struct Committed {
    Epoch epoch;
    Epoch by;
  };
  std::vector<Committed> committed_;  // from index 1
  std::unordered_map<Epoch, NodeId> leaders_;
};

}  // namespace quorate::check
