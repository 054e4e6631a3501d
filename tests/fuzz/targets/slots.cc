// Forged messages to one node of the slot-by-slot log over Basic Paxos.
#include "agreement/paxos/paxos.h"
#include "fuzz.h"
#include "one_node.h"
#include "replog/slots/slot_log.h"

namespace {

quorate::slots::Message forge(quorate::fuzz::Choices& choices) {
  using namespace quorate;
  auto message = fuzz::generate<slots::Message>(choices);
  if (auto* in_slot = std::get_if<slots::InSlot>(&message); in_slot != nullptr && choices.below(8) != 0) {
    auto inner = fuzz::generate<paxos::Message>(choices);
    if (auto* accept = std::get_if<paxos::Accept>(&inner); accept != nullptr && choices.below(8) != 0)
      accept->value = codec::encode(fuzz::generate<slots::Value>(choices));
    if (auto* decided = std::get_if<paxos::Decided>(&inner); decided != nullptr && choices.below(8) != 0)
      decided->value = codec::encode(fuzz::generate<slots::Value>(choices));
    in_slot->message = codec::encode(inner);
  }
  return message;
}

}  // namespace

QUORATE_FUZZ(slots) {
  using namespace quorate;
  fuzz::Choices choices(input);
  replicated_log::Settings settings;
  settings.self = NodeId(1);
  settings.initial = fuzz::three_voters();
  settings.keep_entries = choices.below(4);
  const slots::Options options{.window = 1 + choices.below(8), .max_queued = 8};
  const auto agreement = [](const agreement::Settings& of_slot, Recovered records) {
    return paxos::make_paxos(of_slot, std::move(records));
  };
  fuzz::OneNode<slots::SlotLog> node(settings.self, choices.byte(), [&](const Recovered& recovered) {
    return std::make_unique<slots::SlotLog>(settings, options, agreement, recovered);
  });
  fuzz::LogHost<slots::SlotLog> host(node, settings.initial);
  fuzz::drive(node, choices, forge, [&](fuzz::Choices& c) { return host.request(c); });
}
