// The acceptor of Basic Paxos (Paxos Made Simple §2.2): what it promised and accepted, made durable before
// anyone hears of it.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agreement/paxos/messages.h"
#include "core/agreement.h"

namespace quorate::paxos {

using Out = Outbox<Message, agreement::Event>;

inline constexpr const char* promised_key = "promised";  // Ballot
inline constexpr const char* accepted_key = "accepted";  // Proposal

class Acceptor {
 public:
  explicit Acceptor(const std::map<RecordKey, Bytes>& records);

  // The answer may leave once the ticket is durable; an error is the higher promise that stands against it.
  using Outcome = std::expected<Ticket, Ballot>;

  // P1a. `more` is made durable in the same write.
  [[nodiscard]] Outcome prepare(Ballot n, Out& out, std::vector<Write> more = {});
  // P1: accept iff n >= promised. Accepting raises the promise.
  [[nodiscard]] Outcome accept(const Proposal& proposal, Out& out);

  [[nodiscard]] const Ballot& promised() const { return promised_; }
  [[nodiscard]] const std::optional<Proposal>& accepted() const { return accepted_; }
  [[nodiscard]] Ticket promised_ticket() const { return promised_ticket_; }
  [[nodiscard]] Ticket accepted_ticket() const { return accepted_ticket_; }  // none if recovered
  // A record that is there but cannot be read. To act without it would be to break a promise.
  [[nodiscard]] const std::optional<std::string>& damage() const { return damage_; }
  [[nodiscard]] std::optional<std::string> check_invariants() const;

 private:
  Ballot promised_;
  std::optional<Proposal> accepted_;
  Ticket promised_ticket_;
  Ticket accepted_ticket_;
  std::optional<std::string> damage_;
};

}  // namespace quorate::paxos
