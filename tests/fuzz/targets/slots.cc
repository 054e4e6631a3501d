// Forged messages to one node of the slot-by-slot log over Basic Paxos.
#include "agreement/paxos/paxos.h"
#include "forge.h"
#include "fuzz.h"
#include "one_node.h"
#include "replog/slots/slot_log.h"

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
  fuzz::drive(node, choices, fuzz::forge_slots, [&](fuzz::Choices& c) { return host.request(c); });
}
