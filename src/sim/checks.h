// All that is judged while a run goes on, fed by the probes around the protocols. The first thing found
// broken is kept; everything behind it is consequence.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "check/commitment.h"
#include "check/digest_agreement.h"
#include "check/durability.h"
#include "check/election_safety.h"
#include "check/log_copies.h"
#include "check/log_matching.h"
#include "check/removal.h"
#include "check/state_machine_safety.h"
#include "check/vote_quorum.h"
#include "core/entry.h"
#include "sim/admission.h"
#include "sim/companion.h"
#include "sim/paxos_judge.h"
#include "sim/workload_model.h"

namespace quorate::sim {

class Checks {
 public:
  // `leaders`: the protocol has leaders of epochs and a log of its own, as Raft does, and not only a log that
  // agreement fills slot by slot.
  Checks(const WorkloadModel& model, bool leaders) : model_(&model), leaders_(leaders) {}

  void fail(std::string property, std::string what) {
    if (!failure_) failure_ = {std::move(property), std::move(what)};
  }
  struct Failure {
    std::string property;
    std::string what;
  };
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }

  void tell(Companion& companion) { companion_ = &companion; }  // of commands
  void founded(const Membership& initial) { removal_.committed(Index(), initial); }
  void started(NodeId node, const Recovered& recovered, const Membership& initial);
  // Its log was damaged, and is known to have been: these are its records, all that was left.
  void damaged(NodeId node, const std::map<RecordKey, Bytes>& records);
  void wrote(NodeId node, Ticket ticket, const std::vector<Write>& writes);
  void durable(NodeId node, Ticket upto);         // as the node is told
  void sends(NodeId node, const Bytes& frame);    // it leaves
  void lost(NodeId node) { copies_.lost(node); }  // it will never come back
  void committed(NodeId node, const std::vector<Entry>& entries);
  void restored(NodeId node, Index index) {
    safety_.position(node, index);
    ++restores_[node];
  }
  [[nodiscard]] std::uint64_t restores(NodeId node) const {  // how often it took a whole state over
    const auto at = restores_.find(node);
    return at == restores_.end() ? 0 : at->second;
  }
  void leads(NodeId node, Epoch epoch);
  void applied(NodeId node, Index index, const Bytes& digest);
  // It has applied the log up to some index in [from, to].
  void takes_for_removed(NodeId node, NodeId whom, Index from, Index to) {
    take("removal", removal_.taken_for_removed(node, whom, from, to));
  }
  [[nodiscard]] std::vector<NodeId> former_members() const { return removal_.former(); }
  void acknowledged(std::uint64_t command);
  void refused(std::uint64_t command);  // its client was told that nothing happened
  void final_state(NodeId node, Index applied);

  [[nodiscard]] auto place_of(std::uint64_t command) const { return durability_.place_of(command); }
  [[nodiscard]] Index last_committed() const { return safety_.last(); }
  // The least index that answers a read asked now. Where a read rides on a slot that is won after it came,
  // none that was decided before.
  [[nodiscard]] Index fresh_from() const { return leaders_ ? safety_.last() : safety_.last().next(); }
  // In force as of the last committed membership entry; unset until there is one.
  [[nodiscard]] const std::optional<Membership>& membership() const { return membership_; }
  [[nodiscard]] std::size_t epochs() const { return elections_.epochs(); }
  [[nodiscard]] Epoch latest_epoch() const { return latest_epoch_; }  // in which one leads
  [[nodiscard]] const check::LogCopies& copies() const { return copies_; }

 private:
  void take(const char* property, std::optional<std::string> broken) {
    if (broken) fail(property, std::move(*broken));
  }
  void first_committed(const Entry& entry);
  void count_votes(NodeId node);
  void judge_changes(NodeId node, const std::vector<Write>& writes);

  const WorkloadModel* model_;
  Companion* companion_ = nullptr;
  bool leaders_;
  check::StateMachineSafety safety_;
  check::ElectionSafety elections_;
  check::LogMatching logs_;
  check::LogCopies copies_;
  check::Commitment commitment_{copies_};
  check::VoteQuorum votes_;
  PaxosJudge paxos_;
  Epoch latest_epoch_;
  Admission admission_;
  check::Durability durability_;
  check::DigestAgreement digests_;
  check::Removal removal_;
  std::optional<Membership> membership_;
  Index membership_index_;
  std::map<NodeId, std::uint64_t> restores_;
  std::optional<Failure> failure_;
};

}  // namespace quorate::sim
