// The main job: elect, replicate, commit, survive crashes.
#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(RaftBasic, ThreeNodesElectOneLeaderAndReplicate) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.advance(2s);
  ASSERT_TRUE(cluster.leader());
  cluster.propose(*cluster.leader(), "a");
  cluster.propose(*cluster.leader(), "b");
  cluster.settle();
  for (const auto id : cluster.ids()) EXPECT_THAT(cluster.payloads(id), ElementsAre("a", "b")) << id;
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST(RaftBasic, SingleNodeCommitsAtOnce) {
  Cluster cluster(1);
  cluster.start_all();
  cluster.settle();
  ASSERT_EQ(cluster.raft(1).state(), State::leader);
  cluster.propose(1, "a");
  cluster.settle();
  EXPECT_THAT(cluster.payloads(1), ElementsAre("a"));
}

TEST(RaftBasic, ACrashedLeaderIsReplacedAndCatchesUp) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.advance(2s);
  const auto old = *cluster.leader();
  cluster.propose(old, "a");
  cluster.settle();
  cluster.crash(old);
  cluster.advance(5s);
  ASSERT_TRUE(cluster.leader());
  cluster.propose(*cluster.leader(), "b");
  cluster.settle();
  cluster.restart(old);
  cluster.advance(2s);
  for (const auto id : cluster.ids()) EXPECT_THAT(cluster.payloads(id), ElementsAre("a", "b")) << id;
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST(RaftBasic, AFullRestartRecoversEverythingCommitted) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.advance(2s);
  for (int i = 0; i < 100; ++i) cluster.propose(*cluster.leader(), std::to_string(i));
  cluster.settle();
  for (const auto id : cluster.ids()) cluster.crash(id);
  cluster.start_all();
  cluster.advance(3s);
  for (const auto id : cluster.ids()) EXPECT_EQ(cluster.payloads(id).size(), 100U) << id;
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST(RaftBasic, TheErasedFormSpeaksTheFamilysVocabulary) {
  replicated_log::Settings settings;
  settings.self = NodeId(1);
  settings.initial = voters({1});
  auto protocol = make_raft(settings, {});
  Rng rng(1);
  Env env{Instant(1s), rng};
  protocol->start(env);
  bool committed = false;
  for (int i = 0; i < 5; ++i) {
    for (auto& effect : protocol->take()) {
      if (auto* write = std::get_if<Persist>(&effect)) protocol->step(env, Persisted{write->ticket});
      if (auto* event = std::get_if<Emit<rl::Event>>(&effect)) {
        committed = committed || std::holds_alternative<rl::Committed>(event->event);
      }
    }
  }
  EXPECT_TRUE(committed);
  EXPECT_EQ(protocol->check_invariants(), std::nullopt);
}

}  // namespace
}  // namespace quorate::raft::test
