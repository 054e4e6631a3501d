// What each node's log holds, and how much of it is durable: kept from the nodes' writes and from what they
// were told of their disks, for properties that are judged across nodes.
#pragma once

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "core/entry.h"
#include "core/ids.h"
#include "core/membership.h"

namespace quorate::check {

struct Ballot {  // a node's epoch, and whom it voted for in it
  Epoch epoch;
  NodeId vote;
};

class LogCopy {
 public:
  struct Mark {
    Epoch epoch;
    Ticket ticket;  // of the write that made it durable
  };

  void recovered(const Recovered& recovered, const Membership& initial, Ballot ballot);
  void written(Ticket ticket, const std::vector<Write>& writes, const std::optional<Ballot>& ballot);
  void durable(Ticket upto) { durable_ = std::max(durable_, upto); }
  // A ballot that became durable since the last call, in the order of their writing.
  [[nodiscard]] std::optional<Ballot> next_ballot();

  [[nodiscard]] Index last() const { return base_ + marks_.size(); }
  [[nodiscard]] Index base() const { return base_; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }                  // the node's, durable or not
  [[nodiscard]] Epoch durable_epoch() const { return durable_epoch_; }  // of the ballots that were asked for
  [[nodiscard]] const Mark* at(Index index) const {
    return index > base_ && index <= last() ? &marks_[index - base_ - 1] : nullptr;
  }
  // What is in front of the base was committed.
  [[nodiscard]] bool holds(Index index, Epoch epoch) const {
    const Mark* mark = at(index);
    return index <= base_ || (mark != nullptr && mark->epoch == epoch);
  }
  // The configuration the node goes by: the last in its log, committed or not.
  [[nodiscard]] const Membership& membership() const { return configurations_.back().membership; }

  // What would be found if the node crashed now and lost all it was not told to be durable. None while a
  // write is under way that takes entries away, and what stood before it is not known any more.
  struct Durable {
    Epoch last_epoch;
    Index last;
    const Membership* membership;
  };
  [[nodiscard]] std::optional<Durable> durable_part() const;
  [[nodiscard]] bool holds_durably(Index index, Epoch epoch) const {
    const Mark* mark = at(index);
    return index <= base_ || (mark != nullptr && mark->epoch == epoch && mark->ticket <= durable_);
  }

 private:
  struct Configuration {
    Index index;
    Ticket ticket;
    Membership membership;
  };
  void append(Ticket ticket, const Entry& entry);
  void truncate(Ticket ticket, Index from);
  void restart_behind(Ticket ticket, const SnapshotMeta& meta);

  Index base_;  // marks_[0] is the entry behind it
  Epoch base_epoch_;
  std::vector<Mark> marks_;
  std::vector<Configuration> configurations_{{}};
  Epoch epoch_;
  Epoch durable_epoch_;
  std::deque<std::pair<Ticket, Ballot>> ballots_;  // not durable yet, or not asked for yet
  Ticket durable_;
  Ticket shrunk_;  // the latest write that took entries away
};

class LogCopies {
 public:
  // The node lost durable entries of epochs up to this one, and knows it: it votes for nobody until its
  // durable log has an entry of a later epoch. Only then it can have all that was ever committed counting its
  // copy.
  void lost_entries(NodeId node, Epoch upto) {
    if (node.value >= lost_.size()) lost_.resize(node.value + 1);
    lost_[node.value] = upto;
  }
  // To be asked whenever more of it became durable.
  void regain(NodeId node) {
    if (!abstains(node)) return;
    const auto durable = of(node).durable_part();
    if (durable && durable->last_epoch > *lost_[node.value]) lost_[node.value].reset();
  }
  [[nodiscard]] bool abstains(NodeId node) const {
    return node.value < lost_.size() && lost_[node.value].has_value();
  }

  LogCopy& of(NodeId node) {
    if (node.value >= copies_.size()) copies_.resize(node.value + 1);
    auto& copy = copies_[node.value];
    return copy ? *copy : copy.emplace();
  }
  [[nodiscard]] const LogCopy* find(NodeId node) const {
    return node.value < copies_.size() && copies_[node.value] ? &*copies_[node.value] : nullptr;
  }
  void lost(NodeId node) { of(node), copies_[node.value].reset(); }  // it will never come back
  [[nodiscard]] NodeId end() const { return NodeId(copies_.size()); }

 private:
  std::vector<std::optional<LogCopy>> copies_;  // by id
  std::vector<std::optional<Epoch>> lost_;      // by id
};

}  // namespace quorate::check
