// How long leases last where committing takes long: one leader, whose proposals are committed when the test
// wants it. None ends before its time has passed since the leader answered; and where commits take time but
// come, none lasts longer than that by more than three of the longer of a tick's interval and a commit.
#include <algorithm>
#include <deque>
#include <functional>

#include <gtest/gtest.h>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/etcd_model.h"
#include "replica/scripted.h"

namespace quorate::sim {
namespace {

namespace etcd = models::etcd;
namespace pb = etcdserverpb;
namespace rl = replicated_log;
using replica::testing::RecordingHost;
using replica::testing::ScriptedProtocol;

class Leader {
 public:
  explicit Leader(std::function<Duration()> latency) : latency_(std::move(latency)) {
    auto scripted = std::make_unique<ScriptedProtocol>();
    protocol_ = scripted.get();
    auto model = etcd::EtcdModel::create();
    model_ = model.get();
    replica_ =
        std::make_unique<replica::Replica>(replica::Config{.self = NodeId(1)}, host_, std::move(scripted),
                                           home_, *home_.open_live(), std::move(model));
    replica_->start(env_);
    protocol_->emit(rl::LeaderChanged{NodeId(1), Epoch(1)});
    replica_->timer(env_, TimerId(7));
  }

  void grant(std::int64_t ttl) {
    pb::LeaseGrantRequest request;
    request.set_id(1);
    request.set_ttl(ttl);
    propose(etcd::command(etcd::Op::lease_grant, request.SerializeAsString()));
  }
  void keep_alive() {
    pb::LeaseKeepAliveRequest request;
    request.set_id(1);
    propose(etcd::command(etcd::Op::lease_keep_alive, request.SerializeAsString()));
  }
  void pass(Duration time) {
    const Instant end = env_.now + time;
    while (next_due() <= end) step();
    env_.now = end;
  }
  // How long after the last answer the lease ended.
  Duration lasted() {
    while (ended_ == Instant::max()) step();
    return ended_ - answered_;
  }

 private:
  void propose(Bytes command) {
    replica_->propose(env_, std::move(command), [this](const replica::Outcome<Bytes>& outcome) {
      ASSERT_TRUE(outcome.has_value());
      granted_ = true;
      if (model_->statistics().leases != 0) answered_ = env_.now;  // else it had ended before
    });
    gather();
  }
  // What was proposed since the last call is committed in turn.
  void gather() {
    replica_->pump(env_);
    for (auto& input : std::exchange(protocol_->inputs, {})) {
      auto* ask = std::get_if<Ask<rl::Request>>(&input);
      auto* propose = ask != nullptr ? std::get_if<rl::Propose>(&ask->request) : nullptr;
      if (propose == nullptr) continue;
      last_commit_ = std::max(last_commit_, env_.now + latency_());
      for (auto& payload : propose->payloads) under_way_.emplace_back(last_commit_, std::move(payload));
    }
  }
  [[nodiscard]] auto next_timer() {
    return std::ranges::min_element(host_.timers, {}, [](const auto& timer) { return timer.second; });
  }
  [[nodiscard]] Instant next_due() {
    const auto timer = next_timer();
    const Instant commit = under_way_.empty() ? Instant::max() : under_way_.front().first;
    return std::min(commit, timer == host_.timers.end() ? Instant::max() : timer->second);
  }
  void step() {
    const auto timer = next_timer();
    env_.now = std::max(env_.now, next_due());
    if (!under_way_.empty() && under_way_.front().first <= env_.now) {
      const Index index = ++committed_;
      protocol_->emit(rl::Committed{{Entry{Epoch(1), index, EntryKind::payload, under_way_.front().second}}});
      under_way_.pop_front();
      replica_->timer(env_, TimerId(7));
    } else {
      const TimerId id = timer->first;
      host_.timers.erase(timer);
      replica_->timer(env_, id);
    }
    if (granted_ && model_->statistics().leases == 0) ended_ = std::min(ended_, env_.now);
    gather();
  }

  std::function<Duration()> latency_;
  Rng rng_{1};
  Env env_{Instant(1s), rng_};
  RecordingHost host_;
  storage::MemoryHome home_;
  ScriptedProtocol* protocol_ = nullptr;
  etcd::EtcdModel* model_ = nullptr;
  std::unique_ptr<replica::Replica> replica_;
  std::deque<std::pair<Instant, Bytes>> under_way_;
  Instant last_commit_;
  Index committed_;
  bool granted_ = false;
  Instant answered_;
  Instant ended_ = Instant::max();
};

class LeaseTime : public testing::TestWithParam<Duration> {};

TEST_P(LeaseTime, IsLittleMoreThanWasGranted) {
  const Duration latency = GetParam();
  const Duration most = 3 * std::max<Duration>(latency, replica::Config{}.periodic_interval);
  for (Duration phase{}; phase < most; phase += 35ms) {
    Leader leader([=] { return latency; });
    leader.grant(5);
    leader.pass(2s + phase);
    leader.keep_alive();
    const Duration lasted = leader.lasted();
    EXPECT_GE(lasted, 5s) << phase.count();
    EXPECT_LE(lasted, 5s + most) << phase.count();
  }
}

INSTANTIATE_TEST_SUITE_P(Latencies, LeaseTime,
                         testing::Values(Duration(0ms), Duration(5ms), Duration(100ms), Duration(300ms),
                                         Duration(500ms), Duration(900ms)));

TEST(LeaseTime, IsNeverLessThanWasGrantedHoweverCommitsAreDelayed) {
  Rng rng(1);
  for (int run = 0; run < 500; ++run) {
    const Duration most = rng.between(Duration(1ms), Duration(4s));
    Leader leader([&] { return rng.chance(0.2) ? most : rng.between(Duration(0), most / 4); });
    const auto ttl = static_cast<std::int64_t>(rng.between(1, 4));
    leader.grant(ttl);
    for (int i = 0; i < 5; ++i) {
      leader.pass(rng.between(Duration(0), Duration(1s)));
      leader.keep_alive();
    }
    EXPECT_GE(leader.lasted(), std::chrono::seconds(ttl)) << run;
  }
}

}  // namespace
}  // namespace quorate::sim
