// Forged messages to one Basic Paxos node: it decides at most once a start.
#include "agreement/paxos/paxos.h"

#include "fuzz.h"
#include "one_node.h"

QUORATE_FUZZ(paxos) {
  using namespace quorate;
  fuzz::Choices choices(input);
  const agreement::Settings settings{.self = NodeId(1), .members = {NodeId(1), NodeId(2), NodeId(3)}};
  const paxos::Options options{.back_off = static_cast<paxos::BackOff>(choices.below(3)),
                               .distinguished = {}};
  fuzz::OneNode<paxos::Paxos> node(settings.self, choices.byte(), [&](const Recovered& recovered) {
    return std::make_unique<paxos::Paxos>(settings, options, recovered);
  });
  int decisions = 0;
  node.on_event = [&](const agreement::Event&) -> std::optional<std::string> {
    return ++decisions == 1 ? std::nullopt : std::optional<std::string>("decided twice");
  };
  node.restarted = [&] { decisions = 0; };
  fuzz::drive(
      node, choices, [](fuzz::Choices& c) { return fuzz::generate<paxos::Message>(c); },
      [](fuzz::Choices& c) { return fuzz::generate<agreement::Request>(c); });
}
