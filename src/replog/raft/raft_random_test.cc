// Whole clusters under loss, duplication, reordering, one-way cuts, slow disks, crashes that drop what is not
// durable, snapshots, membership changes and transfers. Safety is checked after every step by the cluster;
// afterwards everything heals and progress must come. Read barriers are checked for freshness on the way.
#include <cstdlib>

#include <gmock/gmock.h>

#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

enum class Damage : std::uint8_t {
  none,
  of_one,     // the log of node 1, now and then; and the members stay as they are
  with_moves  // the same while members change: then those without it may be no quorum, and all must wait
};

class Chaos {
 public:
  Chaos(std::uint64_t seed, std::size_t nodes, Damage damage = Damage::none)
      : cluster_(nodes, seed,
                 [seed](rl::Settings& s) {
                   s.keep_entries = 4;
                   s.max_inflight = 4;
                   s.max_batch_bytes = seed % 2 == 0 ? 40 : 200;  // an entry a message, or several
                 }),
        rng_(seed * 7919 + 1),
        damage_(damage) {
    for (std::uint64_t id = nodes + 1; id <= nodes + 2; ++id) cluster_.add(id, {}).settings.keep_entries = 4;
    cluster_.start_all();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      act();
      collect_reads();
      if (i % 50 == 0) cluster_.check_logs();
      if (!cluster_.violations.empty()) return;
    }
  }

  // Liveness: once a quorum is connected again, a leader comes and what it is asked for is done.
  void heal() {
    cluster_.heal();
    for (const auto id : cluster_.ids()) {
      cluster_.node(id).disk_works = true;
      if (!cluster_.up(id)) cluster_.start(id);
    }
    bool done = false;
    for (int i = 0; i < 60 && !done; ++i) {
      cluster_.advance(1s);
      if (const auto leader = cluster_.leader()) {
        cluster_.propose(*leader, "final");
        cluster_.settle();
        const auto list = cluster_.payloads(*leader);
        done = !list.empty() && list.back() == "final" && !cluster_.raft(*leader).membership().joint();
      }
    }
    cluster_.advance(3s);
    EXPECT_TRUE(done) << "no progress after healing";
    if (!done) return;
    const auto leader = *cluster_.leader();
    for (const auto& member : cluster_.raft(leader).membership().members) {
      EXPECT_EQ(cluster_.payloads(member.id.value), cluster_.payloads(leader))
          << "node " << to_string(member.id);
    }
    cluster_.check_logs();
    collect_reads();
    EXPECT_THAT(unanswered_, testing::IsEmpty()) << "a read was neither answered nor refused";
  }

  Cluster& cluster() { return cluster_; }
  [[nodiscard]] int reads_served() const { return reads_served_; }
  [[nodiscard]] int damages() const { return damages_; }

 private:
  std::uint64_t any() { return 1 + rng_.below(cluster_.ids().size()); }

  void act() {
    const auto dice = rng_.below(1000);
    if (dice < 550) {
      network();
    } else if (dice < 700) {
      cluster_.sync_one(any());
    } else if (dice < 780) {
      pass_time();
    } else if (dice < 880) {
      client();
    } else if (dice < 900) {
      crash_or_start(any());
    } else if (dice < 920) {
      for (const auto id : cluster_.ids()) {
        if (!cluster_.up(id) && rng_.chance(0.5)) cluster_.start(id);
      }
    } else if (dice < 925) {
      cluster_.cut_one_way(any(), any());
    } else if (dice < 935) {
      cluster_.heal();
    } else if (dice < 955) {
      read();
    } else if (dice < 970) {
      cluster_.settle();
    } else {
      administrate();
    }
  }

  void crash_or_start(std::uint64_t id) {
    if (!cluster_.up(id)) return cluster_.start(id);
    cluster_.crash(id);
    std::erase_if(unanswered_, [id](const auto& read) { return read.second == id; });
    if (id == 1 && damage_ != Damage::none && rng_.chance(0.5))
      damages_ += cluster_.damage(id, rng_.chance(0.7)) ? 1 : 0;
  }

  void network() {
    if (cluster_.wire.empty()) return;
    const auto at = rng_.chance(0.8) ? 0 : rng_.below(cluster_.wire.size());
    if (rng_.chance(0.05)) {  // lost
      cluster_.wire.erase(cluster_.wire.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
      if (rng_.chance(0.05)) cluster_.wire.push_back(cluster_.wire[at]);  // repeated, later
      cluster_.deliver(at);
    }
  }

  void pass_time() {
    cluster_.now += rng_.between(1ms, 60ms);
    for (const auto id : cluster_.ids()) {
      const auto timers = cluster_.node(id).timers;
      for (const auto& [timer, at] : timers) {
        if (at <= cluster_.now) cluster_.fire(id, timer);
      }
    }
  }

  void client() {
    const auto leader = cluster_.leader();
    const auto id = leader && rng_.chance(0.9) ? *leader : any();
    ++proposed_;
    cluster_.propose(id, "p" + std::to_string(proposed_), proposed_);
  }

  // A read must see everything that any node had been told is committed when it was asked.
  void read() {
    const auto id = any();
    if (!cluster_.up(id)) return;
    Index newest;
    for (const auto other : cluster_.ids()) {
      if (cluster_.up(other)) newest = std::max(newest, cluster_.raft(other).applied());
    }
    reads_[++read_] = newest;
    unanswered_[read_] = id;
    cluster_.ask(id, rl::ReadBarrier{read_, rng_.chance(0.5) ? rl::ReadMode::lease : rl::ReadMode::quorum});
  }

  void collect_reads() {
    for (const auto id : cluster_.ids()) {
      for (const auto& ready : cluster_.events<rl::ReadReady>(id)) {
        for (const auto read : ready.ids) {
          ++reads_served_;
          answered(read);
          if (ready.index < reads_[read]) {
            cluster_.violations.push_back("stale read at node " + std::to_string(id));
          }
        }
      }
      for (const auto& refused : cluster_.events<rl::Refused>(id)) {
        if (refused.id > first_read) answered(refused.id);
      }
      cluster_.node(id).events.clear();
    }
  }

  void answered(std::uint64_t read) {
    if (unanswered_.erase(read) == 0) cluster_.violations.emplace_back("a read was answered twice");
  }

  void administrate() {
    const auto leader = cluster_.leader();
    if (!leader) return;
    switch (rng_.below(4)) {
      case 0: {  // the host has flushed its state
        const auto id = any();
        if (!cluster_.up(id)) return;
        Node& n = cluster_.node(id);
        const Index index = cluster_.raft(id).applied();
        if (index.none()) return;
        n.received[index] = n.state;
        cluster_.ask(id, rl::SnapshotAvailable{SnapshotMeta{index, {}, {}, {}}});
        break;
      }
      case 1: cluster_.ask(*leader, rl::TransferLeadership{1, NodeId(any())}); break;
      default: {
        if (damage_ == Damage::of_one) return;
        std::vector<std::uint64_t> voters;
        std::vector<std::uint64_t> learners;
        for (const auto id : cluster_.ids()) {
          const auto dice = rng_.below(10);
          if (dice < 7) voters.push_back(id);
          if (dice == 7) learners.push_back(id);
        }
        cluster_.ask(*leader, rl::Reconfigure{1, members(voters, learners)});
      }
    }
  }

  static constexpr std::uint64_t first_read = 1'000'000;  // greater than the id of any other request

  Cluster cluster_;
  Rng rng_;
  std::uint64_t proposed_ = 0;
  std::uint64_t read_ = first_read;
  std::map<std::uint64_t, std::uint64_t> unanswered_;  // reads, and where they were asked, since its start
  int reads_served_ = 0;
  int damages_ = 0;
  Damage damage_;
  std::map<std::uint64_t, Index> reads_;
};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  return std::getenv(name) ? std::strtoull(std::getenv(name), nullptr, 10) : otherwise;
}

TEST(RaftRandom, SafeUnderFaultsAndLiveAfterThem) {
  const std::uint64_t seeds = number_from("RAFT_SEEDS", 300);
  std::size_t committed = 0;
  int reads = 0;
  const std::uint64_t first = number_from("RAFT_FIRST", 1);
  for (std::uint64_t seed = first; seed <= seeds; ++seed) {
    Chaos chaos(seed, 3 + seed % 3);
    chaos.run(3000);
    ASSERT_THAT(chaos.cluster().violations, testing::IsEmpty()) << "seed " << seed;
    chaos.heal();
    ASSERT_THAT(chaos.cluster().violations, testing::IsEmpty()) << "seed " << seed;
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    reads += chaos.reads_served();
    if (chaos.cluster().leader()) committed += chaos.cluster().payloads(*chaos.cluster().leader()).size();
  }
  // The runs are not vacuous: clients got something done in the midst of it.
  EXPECT_GT(committed, (seeds - first + 1) * 10);
  EXPECT_GT(reads, static_cast<int>(seeds - first));
  RecordProperty("committed", static_cast<int>(committed));
  RecordProperty("reads", reads);
}

// A node comes back again and again with a damaged log (rejoin.cc).
TEST(RaftRandom, SafeWhileALogIsDamaged) {
  const std::uint64_t seeds = number_from("RAFT_SEEDS", 200);
  const std::uint64_t first = number_from("RAFT_FIRST", 1);
  int damages = 0;
  for (std::uint64_t seed = first; seed <= seeds; ++seed) {
    Chaos chaos(seed, 3 + seed % 3, seed % 2 == 0 ? Damage::of_one : Damage::with_moves);
    chaos.run(3000);
    ASSERT_THAT(chaos.cluster().violations, testing::IsEmpty()) << "seed " << seed;
    if (seed % 2 == 0) chaos.heal();
    ASSERT_THAT(chaos.cluster().violations, testing::IsEmpty()) << "seed " << seed;
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    damages += chaos.damages();
  }
  EXPECT_GT(damages, static_cast<int>(seeds - first));
}

}  // namespace
}  // namespace quorate::raft::test
