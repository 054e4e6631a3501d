#include "agreement/paxos/acceptor.h"

#include <utility>

#include "core/codec.h"

namespace quorate::paxos {

Acceptor::Acceptor(const std::map<RecordKey, Bytes>& records) {
  if (const auto it = records.find(promised_key); it != records.end()) {
    if (const auto promised = codec::decode<Ballot>(it->second)) {
      promised_ = *promised;
    } else {
      damage_ = "the record of the promise cannot be read";
    }
  }
  if (const auto it = records.find(accepted_key); it != records.end()) {
    if (const auto accepted = codec::decode<Proposal>(it->second)) {
      accepted_ = *accepted;
      promised_ = std::max(promised_, accepted->n);
    } else {
      damage_ = "the record of the accepted proposal cannot be read";
    }
  }
}

Acceptor::Outcome Acceptor::prepare(Ballot n, Out& out, std::vector<Write> more) {
  if (n < promised_) return std::unexpected(promised_);
  if (n == promised_)
    return std::max(promised_ticket_, accepted_ticket_);  // a repeated Prepare: the same answer
  promised_ = n;
  more.emplace_back(PutRecord{promised_key, codec::encode(promised_)});
  promised_ticket_ = out.persist(std::move(more));
  return promised_ticket_;
}

Acceptor::Outcome Acceptor::accept(const Proposal& proposal, Out& out) {
  if (proposal.n < promised_) return std::unexpected(promised_);
  if (accepted_ && accepted_->n == proposal.n) return accepted_ticket_;  // a repeated Accept
  promised_ = proposal.n;
  accepted_ = proposal;
  // One record says both: an accepted proposal implies the promise (see the constructor).
  accepted_ticket_ = out.persist({PutRecord{accepted_key, codec::encode(proposal)}});
  return accepted_ticket_;
}

std::optional<std::string> Acceptor::check_invariants() const {
  if (damage_) return damage_;
  if (accepted_ && accepted_->n > promised_) {
    return "accepted " + to_string(accepted_->n) + " above the promise " + to_string(promised_);
  }
  return std::nullopt;
}

}  // namespace quorate::paxos
