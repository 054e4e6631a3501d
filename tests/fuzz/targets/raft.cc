// Forged messages to one Raft node, with its invariants after every step.
#include "replog/raft/raft.h"

#include "fuzz.h"
#include "one_node.h"

QUORATE_FUZZ(raft) {
  using namespace quorate;
  fuzz::Choices choices(input);
  replicated_log::Settings settings;
  settings.self = NodeId(1);
  settings.initial = fuzz::three_voters();
  settings.keep_entries = choices.below(4);
  settings.max_inflight = 1 + choices.below(4);
  settings.max_batch_bytes = 64;
  fuzz::OneNode<raft::Raft> node(settings.self, choices.byte(), [&](const Recovered& recovered) {
    return std::make_unique<raft::Raft>(settings, recovered);
  });
  fuzz::LogHost<raft::Raft> host(node, settings.initial);
  fuzz::drive(
      node, choices, [](fuzz::Choices& c) { return fuzz::generate<raft::Message>(c); },
      [&](fuzz::Choices& c) { return host.request(c); });
}
