// What a node's start is judged by, fed what it must not pass over.
#include "sim/node.h"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "registry/registry.h"
#include "sim/stage.h"
#include "sim/workload_model.h"

namespace quorate::sim {
namespace {

using Survival = storage::MemoryDisk::Survival;

class NodeStart : public testing::Test {
 protected:
  NodeStart() {
    const auto raft = registry::find("raft").value();
    options_.factory = raft->make;
    options_.rejoin = raft->rejoin;
    for (std::uint64_t id : {1, 2, 3}) initial_.members.push_back({NodeId(id), Role::voter, {}});
    stage_.emplace(options_, Rng(1), *model_);
    node_.emplace(*stage_, 0, NodeId(1), initial_);
  }
  // Until its first writes are durable, and no election has begun.
  void run() {
    ASSERT_TRUE(node_->start());
    auto& queue = stage_->queue;
    while (!queue.empty() && queue.next_at() < 50ms) {
      stage_->now = queue.next_at();
      node_->handle(queue.pop());
    }
  }

  Options options_;
  std::unique_ptr<WorkloadModel> model_ = make_workload_model("register");
  Membership initial_;
  std::optional<Stage> stage_;
  std::optional<Node> node_;
};

TEST_F(NodeStart, FindsAgainWhatWasDurable) {
  run();
  node_->stop(Survival::none, "power loss");
  EXPECT_TRUE(node_->start());
  EXPECT_FALSE(stage_->checks.failure()) << stage_->checks.failure()->what;
}

TEST_F(NodeStart, ALogIsNotGivenUpThatNothingDamaged) {
  run();
  node_->stop(Survival::none, "power loss");
  const auto names = node_->disk().list();
  ASSERT_TRUE(names);
  for (const auto& name : *names) {  // behind the back of the faults, which would tell of it
    if (!node_->disk().contents(name).empty()) node_->disk().flip_bit(name, 9, 3);
  }
  (void)node_->start();
  ASSERT_TRUE(stage_->checks.failure());
  EXPECT_EQ(stage_->checks.failure()->property, "recovery");
  EXPECT_NE(stage_->checks.failure()->what.find("gives up a log that nothing damaged"), std::string::npos)
      << stage_->checks.failure()->what;
}

}  // namespace
}  // namespace quorate::sim
