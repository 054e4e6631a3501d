#include "registry/registry.h"

#include <set>

#include <gmock/gmock.h>

namespace quorate::registry {
namespace {

TEST(Registry, FindsByName) {
  const auto paxos = find("paxos");
  ASSERT_TRUE(paxos);
  EXPECT_EQ((*paxos)->family, Family::agreement);
  EXPECT_EQ((*paxos)->nodes_for(1), 3U);
}

TEST(Registry, AnUnknownNameIsAnsweredWithThoseThereAre) {
  const auto unknown = find("paxoz");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error(), "unknown protocol \"paxoz\"; there are: raft, paxos");
}

TEST(Registry, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const auto& protocol : all()) EXPECT_TRUE(names.insert(protocol.name).second) << protocol.name;
}

// Whatever is registered starts alone, leads, and commits what it is asked for.
TEST(Registry, EveryProtocolCommitsOnALoneNode) {
  namespace rl = replicated_log;
  for (const auto& protocol : all()) {
    SCOPED_TRACE(protocol.name);
    const rl::Settings settings{.self = NodeId(1), .initial = {{{NodeId(1), Role::voter, {}}}, {}, {}}};
    auto node = protocol.make(settings, {});
    Rng rng(7);
    Instant now(1s);
    bool leads = false;
    bool asked = false;
    bool committed = false;
    std::map<TimerId, Instant> timers;
    const auto env = [&] { return Env{now, rng}; };
    auto first = env();
    node->start(first);
    for (int i = 0; i < 1000 && !committed; ++i) {
      Ticket durable;
      for (auto& effect : node->take()) {
        if (const auto* persist = std::get_if<Persist>(&effect)) durable = persist->ticket;
        if (const auto* set = std::get_if<SetTimer>(&effect)) timers[set->id] = set->at;
        if (const auto* cancel = std::get_if<CancelTimer>(&effect)) timers.erase(cancel->id);
        if (const auto* emit = std::get_if<Emit<rl::Event>>(&effect)) {
          if (const auto* leader = std::get_if<rl::LeaderChanged>(&emit->event))
            leads = leader->leader == NodeId(1);
          if (const auto* batch = std::get_if<rl::Committed>(&emit->event)) {
            for (const auto& entry : batch->entries) committed |= entry.payload == "hello";
          }
        }
      }
      auto e = env();
      if (!durable.none()) {
        node->step(e, Persisted{durable});
      } else if (leads && !asked) {
        asked = true;
        node->step(e, Ask<rl::Request>{rl::Propose{1, {Bytes::copy("hello")}}});
      } else if (!timers.empty()) {
        const auto next =
            std::ranges::min_element(timers, {}, [](const auto& timer) { return timer.second; });
        const TimerId id = next->first;
        now = std::max(now, next->second);
        timers.erase(next);
        auto later = env();
        node->step(later, TimerFired{id});
      }
    }
    EXPECT_TRUE(committed);
  }
}

}  // namespace
}  // namespace quorate::registry
