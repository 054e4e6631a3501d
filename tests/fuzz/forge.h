// Well-formed messages that no honest node would have sent, of the protocols that nest others.
#pragma once

#include "agreement/paxos/paxos.h"
#include "choices.h"
#include "core/codec.h"
#include "generate.h"
#include "replog/slots/messages.h"

namespace quorate::fuzz {

inline slots::Message forge_slots(Choices& choices) {
  auto message = generate<slots::Message>(choices);
  if (auto* in_slot = std::get_if<slots::InSlot>(&message); in_slot != nullptr && choices.below(8) != 0) {
    auto inner = generate<paxos::Message>(choices);
    if (auto* accept = std::get_if<paxos::Accept>(&inner); accept != nullptr && choices.below(8) != 0)
      accept->value = codec::encode(generate<slots::Value>(choices));
    if (auto* decided = std::get_if<paxos::Decided>(&inner); decided != nullptr && choices.below(8) != 0)
      decided->value = codec::encode(generate<slots::Value>(choices));
    in_slot->message = codec::encode(inner);
  }
  return message;
}

}  // namespace quorate::fuzz
