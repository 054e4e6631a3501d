#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agreement/paxos/messages.h"
#include "core/codec.h"
#include "replica/messages.h"
#include "replog/raft/messages.h"
#include "replog/slots/messages.h"
#include "sim/clock.h"
#include "sim/coverage.h"
#include "sim/damaged_frame.h"
#include "sim/draw.h"
#include "sim/event_queue.h"
#include "sim/faults.h"
#include "sim/frame_kind.h"
#include "sim/network.h"
#include "sim/newer_version.h"
#include "sim/trace.h"

namespace quorate::sim {
namespace {

TEST(EventQueue, OrdersByMomentThenByScheduling) {
  EventQueue queue;
  queue.push(3ms, {.number = 1});
  queue.push(1ms, {.number = 2});
  queue.push(3ms, {.number = 3});
  queue.push(1ms, {.number = 4});
  std::vector<std::uint64_t> order;
  while (!queue.empty()) order.push_back(queue.pop().number);
  EXPECT_THAT(order, testing::ElementsAre(2, 4, 1, 3));
}

TEST(Clock, RunsAtItsOwnSpeedAndNeverFiresEarly) {
  Rng rng(3);
  for (const std::int64_t ppm : {-5000, 0, 1, 4999, 1'000'000}) {
    Clock clock(Instant(5s), ppm);
    EXPECT_EQ(clock.at(1s) - Instant(5s), 1s + std::chrono::microseconds(ppm));
    for (int i = 0; i < 200; ++i) {
      const Instant due = Instant(5s) + rng.between(Duration(0), Duration(100s));
      const Moment at = clock.when(due);
      EXPECT_GE(clock.at(at), due);
      EXPECT_LT(clock.at(at) - due, 2us);
    }
  }
}

TEST(Clock, GoesOnFromWhereItIsWhenItsSpeedChanges) {
  Clock clock(Instant(1s), 0);
  clock.set_speed(2s, 1'000'000);  // twice as fast
  EXPECT_EQ(clock.at(2s), Instant(3s));
  EXPECT_EQ(clock.at(3s), Instant(5s));
  clock.jump(3s, 10s);
  EXPECT_EQ(clock.at(3s), Instant(15s));
}

TEST(Network, KeepsOrderUnlessItReorders) {
  Network network(Rng(1), {.latency = 1ms, .jitter = 10ms});
  Moment last{};
  for (int i = 0; i < 100; ++i) {
    const auto fate = network.send(Duration(i), 0, 1);
    ASSERT_EQ(fate.count, 1U);
    EXPECT_GE(fate.arrivals[0], last);
    last = fate.arrivals[0];
  }
  network.conditions().reordering = 1;
  bool overtaken = false;
  for (int i = 0; i < 100; ++i) {
    const auto fate = network.send(Duration(i), 0, 1);
    overtaken = overtaken || fate.arrivals[0] < last;
    last = fate.arrivals[0];
  }
  EXPECT_TRUE(overtaken);
}

TEST(Network, CutsNestAndHaveADirection) {
  Network network(Rng(1), {});
  network.cut(0, 1);
  network.cut(0, 1);
  EXPECT_EQ(network.send(0ms, 0, 1).count, 0U);
  EXPECT_EQ(network.send(0ms, 1, 0).count, 1U);
  network.mend(0, 1);
  EXPECT_FALSE(network.carries(0, 1));
  network.mend(0, 1);
  EXPECT_EQ(network.send(0ms, 0, 1).count, 1U);
}

TEST(Network, LosesDuplicatesAndClogs) {
  Network network(Rng(1), {});
  network.conditions().loss = 1;
  EXPECT_EQ(network.send(0ms, 0, 1).count, 0U);
  network.heal();
  network.conditions().duplication = 1;
  EXPECT_EQ(network.send(0ms, 0, 1).count, 2U);
  network.clog(0, 1, 5s);
  EXPECT_GE(network.send(0ms, 0, 1).arrivals[0], 5s);
  network.heal();
  EXPECT_EQ(network.send(6s, 0, 1).count, 1U);
}

TEST(Faults, ListsAreReadAndWritten) {
  for (const char* list : {"all", "none", "loss,pause", "all,-drift", "all,-loss,-pause,wild_clock"}) {
    const auto set = FaultSet::parse(list);
    ASSERT_TRUE(set) << list;
    EXPECT_EQ(set->str(), list);
    EXPECT_EQ(*FaultSet::parse(set->str()), *set);
  }
  EXPECT_FALSE(FaultSet::parse("loss,plague"));
  EXPECT_TRUE(FaultSet::usual().has(FaultKind::clock_jump));
  EXPECT_FALSE(FaultSet::usual().has(FaultKind::wild_clock));
}

TEST(Faults, EveryPairOfKindsIsPlannedTogetherSometimes) {
  const auto kinds = FaultSet::usual().kinds();
  std::set<std::pair<FaultKind, FaultKind>> pairs;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    Rng rng(seed);
    std::set<FaultKind> met;
    for (const Fault& fault : plan_faults(rng, FaultSet::usual(), 5s)) {
      EXPECT_LE(fault.from, fault.until);
      EXPECT_LE(fault.until, 5s);
      met.insert(fault.kind);
    }
    EXPECT_GE(met.size(), 3U);
    for (const FaultKind a : met) {
      for (const FaultKind b : met) pairs.emplace(a, b);
    }
  }
  EXPECT_EQ(pairs.size(), kinds.size() * kinds.size());
}

TEST(Faults, EveryPairIsBroughtTogetherOnceInSoManySeeds) {
  for (const char* list : {"all", "loss,pause,kill,bit_flip,transfer", "loss,pause"}) {
    const FaultSet allowed = FaultSet::parse(list).value();
    const std::size_t kinds = allowed.kinds().size();
    const std::size_t pairs = kinds * (kinds - 1) / 2;
    std::set<std::uint64_t> seen;
    for (std::uint64_t seed = 1'000'003; seed < 1'000'003 + pairs; ++seed) {
      const FaultSet pair = pair_of(seed, allowed);
      EXPECT_EQ(pair.kinds().size(), 2U);
      EXPECT_EQ(pair.bits() & ~allowed.bits(), 0U);
      seen.insert(pair.bits());
    }
    EXPECT_EQ(seen.size(), pairs) << list;
  }
  EXPECT_TRUE(pair_of(7, FaultSet::parse("loss").value()).empty());
}

TEST(Faults, ThoseThatBelongTogetherInsistAndHaveACommonMoment) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng(seed);
    const FaultSet together = pair_of(seed, FaultSet::usual());
    const auto plan = plan_together(rng, FaultSet::usual(), together, 5s);
    EXPECT_TRUE(std::ranges::is_sorted(plan, {}, &Fault::from));
    FaultSet insisting;
    Moment from{};
    Moment until = 5s;
    for (const Fault& fault : plan) {
      EXPECT_EQ(fault.insists, together.has(fault.kind));
      if (!fault.insists) continue;
      insisting.add(fault.kind);
      from = std::max(from, fault.from);
      until = std::min(until, fault.until);
    }
    EXPECT_EQ(insisting, together);
    EXPECT_GE(until - from, 400ms);
  }
}

TEST(Coverage, KnowsWhichFaultsWereInEffectAtTheSameTime) {
  Coverage coverage;
  coverage.began(1, FaultKind::loss);
  coverage.began(2, FaultKind::pause);
  coverage.began(2, FaultKind::pause);
  coverage.ended(1);
  coverage.began(3, FaultKind::kill);
  coverage.began(4, FaultKind::kill);
  const Overlaps& overlaps = coverage.overlaps();
  EXPECT_EQ(overlaps.struck.str(), "loss,pause,kill");
  const auto met = [&](FaultKind kind) { return overlaps.met[static_cast<std::size_t>(kind)].str(); };
  EXPECT_EQ(met(FaultKind::loss), "pause");
  EXPECT_EQ(met(FaultKind::pause), "loss,kill");
  EXPECT_EQ(met(FaultKind::kill), "pause,kill");
  EXPECT_EQ(overlaps.at_once, 2U);
  EXPECT_TRUE(coverage.in_effect(2));
  EXPECT_FALSE(coverage.in_effect(1));
}

TEST(Draws, AreExponential) {
  Rng rng(5);
  constexpr int draws = 200'000;
  double sum = 0;
  int beyond_mean = 0;  // e^-1 of them
  int beyond_three = 0;
  for (int i = 0; i < draws; ++i) {
    const Duration drawn = exponential(rng, 1ms);
    ASSERT_GE(drawn, Duration(0));
    sum += static_cast<double>(drawn.count());
    beyond_mean += drawn > 1ms;
    beyond_three += drawn > 3ms;
  }
  EXPECT_NEAR(sum / draws / 1e6, 1.0, 0.01);
  EXPECT_NEAR(beyond_mean / static_cast<double>(draws), 0.3679, 0.004);
  EXPECT_NEAR(beyond_three / static_cast<double>(draws), 0.0498, 0.002);
}

TEST(Draws, SpreadOverOrdersOfMagnitude) {
  Rng rng(6);
  int below = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Duration drawn = log_uniform(rng, 1ms, 1024ms);
    ASSERT_GE(drawn, 1ms);
    ASSERT_LE(drawn, 1024ms);
    below += drawn < 32ms;
  }
  EXPECT_NEAR(below, 10'000, 400);
  EXPECT_EQ(log_uniform(rng, 3ms, 3ms), 3ms);
}

TEST(DamagedFrame, DoesNotComeThroughTheReaderOfFrames) {
  const Bytes frame = Bytes::copy(std::string(40, 'x') + std::string(40, '\0'));
  const std::string stream = on_the_wire(frame);
  ASSERT_EQ(off_the_wire(stream), frame);
  for (std::size_t bit = 0; bit < stream.size() * 8; ++bit) {
    std::string damaged = stream;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(off_the_wire(damaged)) << "bit " << bit;
  }
  Rng rng(3);
  for (int i = 0; i < 20'000; ++i) EXPECT_FALSE(damaged_on_the_wire(frame, rng));
  EXPECT_FALSE(damaged_on_the_wire(Bytes(), rng));
  EXPECT_NE(damaged_behind_the_reader(frame, rng), frame);
}

TEST(FrameKind, TellsMessagesApartWithoutDecodingThem) {
  const auto raft = [](raft::Message message) {
    return frame_kind(codec::encode(replica::Frame(replica::ProtocolFrame{codec::encode(message)})), false);
  };
  const auto slots = [](slots::Message message) {
    return frame_kind(codec::encode(replica::Frame(replica::ProtocolFrame{codec::encode(message)})), true);
  };
  EXPECT_EQ(raft(raft::PreVote{Epoch(1), Index(1), Epoch(1)}), raft(raft::PreVote{Epoch(900), {}, {}}));
  EXPECT_NE(raft(raft::PreVote{}), raft(raft::RequestVote{}));
  const auto prepare = codec::encode(paxos::Message(paxos::Prepare{}));
  const auto accept = codec::encode(paxos::Message(paxos::Accept{{}, Bytes::copy(std::string(500, 'x'))}));
  EXPECT_EQ(slots(slots::InSlot{Index(1), prepare}), slots(slots::InSlot{Index(100'000), prepare}));
  EXPECT_NE(slots(slots::InSlot{Index(1), prepare}), slots(slots::InSlot{Index(1), accept}));
  EXPECT_NE(slots(slots::InSlot{Index(1), prepare}), slots(slots::CatchUp{Index(1)}));
  EXPECT_NE(frame_kind(codec::encode(replica::Frame(replica::Forward{})), false), raft(raft::PreVote{}));
  EXPECT_LT(frame_kind(Bytes(), true), frame_kind_count);
}

struct Old {
  std::uint64_t number = 0;
  std::string word;
};
BOOST_DESCRIBE_STRUCT(Old, (), (number, word))

TEST(NewerVersion, IsUnderstoodByTheOlderOne) {
  const Bytes plain = codec::encode(Old{7, "seven"});
  const Bytes extended = newer::extend_struct(plain);
  EXPECT_GT(extended.size(), plain.size());
  const auto read = codec::decode<Old>(extended);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, 7U);
  EXPECT_EQ(read->word, "seven");

  using Message = std::variant<std::uint64_t, Old>;
  const Bytes message = newer::extend_variant(codec::encode(Message(Old{7, "seven"})));
  const auto received = codec::decode<Message>(message);
  ASSERT_TRUE(received);
  EXPECT_EQ(std::get<Old>(*received).word, "seven");
  EXPECT_FALSE(codec::decode<Message>(newer::unknown_alternative()));
  // A bare number has no room for more.
  EXPECT_EQ(newer::extend_struct(codec::encode(std::uint64_t{0})), codec::encode(std::uint64_t{0}));
}

TEST(Trace, IsAJsonArray) {
  Trace trace;
  {
    Trace::Line(trace, 5ns, "fault").field("what", "a \"b\"").field("node", 3);
  }
  {
    Trace::Line(trace, 6ns, "heal").json("list", "[1]");
  }
  EXPECT_EQ(trace.finish(),
            "[\n{\"t\":5,\"event\":\"fault\",\"what\":\"a "
            "\\\"b\\\"\",\"node\":3},\n{\"t\":6,\"event\":\"heal\",\"list\":[1]}\n]\n");
}

}  // namespace
}  // namespace quorate::sim
