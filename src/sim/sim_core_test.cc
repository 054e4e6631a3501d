#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agreement/paxos/messages.h"
#include "core/codec.h"
#include "replica/messages.h"
#include "replog/raft/messages.h"
#include "replog/slots/messages.h"
#include "sim/clock.h"
#include "sim/coverage.h"
#include "sim/disk_faults.h"
#include "sim/draw.h"
#include "sim/durable_shadow.h"
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
  EXPECT_FALSE(FaultSet::usual().has(FaultKind::clock_jump));
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

TEST(DiskFaults, StrikeOnceWhereTheyFit) {
  using Disk = storage::MemoryDisk;
  DiskFaults faults;
  int told = 0;
  faults.arm({.kind = Disk::FaultKind::failed_sync, .skip = 1, .struck = [&] { ++told; }});
  const auto kind = [&](Disk::Operation operation) { return faults({operation, "f"}).kind; };
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::none);
  EXPECT_EQ(kind(Disk::Operation::sync), Disk::FaultKind::none);  // skipped
  EXPECT_FALSE(faults.struck());
  EXPECT_EQ(kind(Disk::Operation::sync), Disk::FaultKind::failed_sync);
  EXPECT_EQ(kind(Disk::Operation::sync), Disk::FaultKind::none);
  EXPECT_TRUE(faults.struck());
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(faults.lies().damaged());
  faults.arm({.kind = Disk::FaultKind::full, .lasting = true, .number = 7});
  faults.arm({.kind = Disk::FaultKind::lost, .skip = 1, .number = 8});
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::full);
  EXPECT_EQ(kind(Disk::Operation::create), Disk::FaultKind::full);
  faults.disarm(7);
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::none);
  EXPECT_EQ(kind(Disk::Operation::write), Disk::FaultKind::lost);
  EXPECT_TRUE(faults.lies().log_damaged());
  EXPECT_FALSE(faults.armed());
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

Entry entry(std::uint64_t index) { return {Epoch(1), Index(index), EntryKind::payload, Bytes::copy("x")}; }

TEST(DurableShadow, AcceptsWhatWasDurableAndAPrefixOfTheRest) {
  const auto shadow = [] {
    DurableShadow s;
    s.submitted({PutRecord{"vote", Bytes::copy("1")}});
    s.submitted({AppendEntries{{entry(1)}}});
    s.synced(2);
    s.submitted({AppendEntries{{entry(2)}}});
    s.submitted({AppendEntries{{entry(3)}}});
    return s;
  };
  const auto found = [](std::uint64_t last) {
    Recovered recovered;
    recovered.records["vote"] = Bytes::copy("1");
    for (std::uint64_t i = 1; i <= last; ++i) recovered.log.push_back(entry(i));
    return recovered;
  };
  EXPECT_TRUE(shadow().recovered(found(0)));
  EXPECT_FALSE(shadow().recovered(found(1)));
  EXPECT_FALSE(shadow().recovered(found(2)));
  EXPECT_FALSE(shadow().recovered(found(3)));
  EXPECT_TRUE(shadow().recovered(found(4)));
  auto no_vote = found(3);
  no_vote.records.clear();
  EXPECT_TRUE(shadow().recovered(no_vote));
}

TEST(DurableShadow, FollowsTruncationSnapshotsAndErasedRecords) {
  DurableShadow shadow;
  shadow.submitted({AppendEntries{{entry(1), entry(2), entry(3)}}, PutRecord{"a", Bytes::copy("1")}});
  shadow.submitted({TruncateFrom{Index(3)}, PutRecord{"a", Bytes()}});
  shadow.submitted({SnapshotTaken{{Index(1), Epoch(1), {}, {}}}});
  shadow.synced(3);
  Recovered found;
  found.snapshot = SnapshotMeta{Index(1), Epoch(1), {}, {}};
  found.log = {entry(1), entry(2)};  // entries below the snapshot may still be there
  EXPECT_FALSE(shadow.recovered(found));
  found.log.push_back(entry(3));
  EXPECT_TRUE(shadow.recovered(found));
}

TEST(DurableShadow, KnowsTheRecordsOfADamagedLog) {
  using Records = std::map<RecordKey, Bytes>;
  DurableShadow shadow;
  shadow.submitted({PutRecord{"vote", Bytes::copy("1")}});
  shadow.synced(1);
  shadow.submitted({PutRecord{"vote", Bytes::copy("2")}});
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("1")}}), 0U);
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("2")}}), 0U) << "in flight: it may be there";
  EXPECT_EQ(shadow.lacking(Records{}), 1U);
  shadow.synced(1);
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("1")}}), 1U);
  EXPECT_EQ(shadow.lacking(Records{{"vote", Bytes::copy("3")}}), std::nullopt);
}

TEST(DurableShadow, TellsHowManyOfTheNewestSyncsAreMissing) {
  const auto missed = [](std::uint64_t last) {
    DurableShadow shadow;
    shadow.submitted({AppendEntries{{entry(1)}}});
    shadow.synced(1);
    shadow.submitted({AppendEntries{{entry(2)}}});
    shadow.submitted({AppendEntries{{entry(3)}}});
    shadow.synced(2);
    shadow.submitted({AppendEntries{{entry(4)}}});
    Recovered found;
    for (std::uint64_t i = 1; i <= last; ++i) found.log.push_back(entry(i));
    const bool missing = shadow.recovered(found).has_value();
    return std::pair(missing, shadow.missed());
  };
  using Missed = std::optional<std::size_t>;
  EXPECT_EQ(missed(4), std::pair(false, Missed(0)));
  EXPECT_EQ(missed(3), std::pair(false, Missed(0)));
  EXPECT_EQ(missed(2), std::pair(true, Missed()));
  EXPECT_EQ(missed(1), std::pair(true, Missed(1)));
  EXPECT_EQ(missed(0), std::pair(true, Missed(2)));
}

// What was read back at a start is as much the newest sync as what was written since.
TEST(DurableShadow, KnowsTheNewestSyncThroughAStart) {
  DurableShadow shadow;
  shadow.submitted({AppendEntries{{entry(1)}}});
  shadow.synced(1);
  shadow.submitted({AppendEntries{{entry(2)}}});
  Recovered found;
  found.log = {entry(1), entry(2)};
  EXPECT_FALSE(shadow.recovered(found));
  EXPECT_EQ(shadow.newest_sync(), 2U);
  found.log.pop_back();
  EXPECT_TRUE(shadow.recovered(found));
  EXPECT_EQ(shadow.missed(), 1U);
}

TEST(Lies, ExcuseNothingWhereNothingWasWrong) {
  const Lies lies;
  EXPECT_FALSE(lies.damaged());
  EXPECT_FALSE(lies.log_damaged());
  EXPECT_FALSE(lies.may_miss(7, 1, true));
  EXPECT_FALSE(lies.may_miss_segment());
  EXPECT_FALSE(lies.may_save_without(7, 1));
}

TEST(Lies, ThatAreMisreadsExcuseOnlyWhatNoNumberOfReadsCouldMend) {
  Lies lies;
  for (unsigned i = 1; i < Lies::reads; ++i) {
    lies.misread();
    EXPECT_FALSE(lies.log_damaged());
    EXPECT_FALSE(lies.may_miss(7, 1, true));
  }
  lies.misread();
  EXPECT_TRUE(lies.log_damaged());
  EXPECT_TRUE(lies.may_miss(7, 1, false));
  EXPECT_FALSE(lies.may_miss(7, 2, false));
  lies.starts();
  EXPECT_FALSE(lies.log_damaged());
}

TEST(Lies, OfAWriteExcuseItsOwnSync) {
  Lies lies;
  lies.writes_for(6);
  lies.told(Lies::Kind::write);
  EXPECT_TRUE(lies.log_damaged());
  EXPECT_TRUE(lies.may_miss(6, 1, false));
  EXPECT_FALSE(lies.may_miss(6, 2, false)) << "the sync before it";
  EXPECT_FALSE(lies.may_miss(7, 1, false)) << "a later sync";
  EXPECT_FALSE(lies.may_miss(7, 2, false)) << "the later sync shows that it is missing";
  EXPECT_FALSE(lies.may_save_without(6, 1)) << "what else would be damaged?";
  lies.told(Lies::Kind::flip);
  EXPECT_TRUE(lies.may_save_without(6, 1));
  EXPECT_TRUE(lies.may_miss(7, 2, false));
}

TEST(Lies, OfABitExcuseTheNewestSyncIfItLooksTorn) {
  Lies lies;
  lies.told(Lies::Kind::flip);
  EXPECT_TRUE(lies.may_miss(7, 1, true));
  EXPECT_FALSE(lies.may_miss(7, 1, false));
  EXPECT_FALSE(lies.may_miss(7, 2, true));
}

TEST(Lies, OfAFileExcuseAMissingSegmentOnlyWithItsNote) {
  Lies lies;
  lies.lost_file("wal-0000000003");
  EXPECT_TRUE(lies.log_damaged());
  EXPECT_FALSE(lies.may_miss(7, 1, true));
  EXPECT_FALSE(lies.may_miss_segment());
  lies.lost_file("newest-0000000003");
  EXPECT_TRUE(lies.may_miss_segment());
}

TEST(Lies, AreOverWhenAllWasFoundIntact) {
  Lies lies;
  lies.told(Lies::Kind::state);
  EXPECT_TRUE(lies.state_lost());
  EXPECT_FALSE(lies.log_damaged());
  const auto mark = lies.mark();
  lies.told(Lies::Kind::flip);
  lies.forget(mark);
  EXPECT_FALSE(lies.state_lost());
  EXPECT_TRUE(lies.log_damaged()) << "this one came later";
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
