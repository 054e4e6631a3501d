// Leadership transfer (§3.10).
#include "replog/raft/raft.h"

namespace quorate::raft {

void Raft::ask(Context& c, replicated_log::TransferLeadership& request) {
  if (state_ != State::leader)
    return refuse(c, request.id, leader_ ? Refusal::not_leader : Refusal::no_leader);
  if (request.to == settings_.self) return c.out.emit(replicated_log::LeaderChanged{leader_, term_});
  if (transfer_) return refuse(c, request.id, Refusal::change_pending);
  if (!membership().votes(request.to) || find(request.to) == nullptr) {
    return refuse(c, request.id, Refusal::invalid);
  }
  transfer_ = Transfer{request.id, request.to, c.env.now + settings_.election_timeout};
  continue_transfer(c);
}

// Once the target has the whole log it is told to campaign; again on each tick, since the message may be
// lost. It may also come late, so the lease is not used again in this term: the target's voters will not ask
// whether this leader is live.
void Raft::continue_transfer(Context& c) {
  auto* p = find(transfer_->to);
  if (p == nullptr) {
    refuse(c, transfer_->id, Refusal::invalid);
    return transfer_.reset();
  }
  if (p->match < log_.last()) return replicate(c, *p);
  lease_given_up_ = true;
  send(c, p->id, TimeoutNow{term_});
}

}  // namespace quorate::raft
