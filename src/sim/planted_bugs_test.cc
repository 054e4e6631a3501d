// The simulator must bite: protocols with a bug planted around them, each found within a few seeds and by the
// property that is meant for it.
#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>

#include "registry/registry.h"
#include "replog/raft/messages.h"
#include "sim/run.h"

namespace quorate::sim {
namespace {

using replicated_log::Event;
using replicated_log::Protocol;

// Passes everything through; a bug overrides what it spoils.
class Spoiled : public Protocol {
 public:
  explicit Spoiled(std::unique_ptr<Protocol> inner) : inner_(std::move(inner)) {}
  void start(Env& env) override {
    inner_->start(env);
    spoil_effects();
  }
  void step(Env& env, In&& input) override {
    if (!spoil_input(input)) return;
    inner_->step(env, std::move(input));
    spoil_effects();
  }
  [[nodiscard]] std::optional<std::string> check_invariants() const override {
    return inner_->check_invariants();
  }
  [[nodiscard]] std::string describe() const override { return inner_->describe(); }
  [[nodiscard]] std::string explain(const Bytes& message) const override { return inner_->explain(message); }

 protected:
  virtual bool spoil_input(In&) { return true; }  // false: the input is dropped
  virtual void spoil(Effect<Bytes, Event>&) {}

 private:
  void spoil_effects() {
    for (auto& effect : inner_->take()) {
      spoil(effect);
      effects_.push_back(std::move(effect));
    }
  }
  std::unique_ptr<Protocol> inner_;
};

template <class Bug>
replicated_log::Factory with(const char* protocol) {
  return [make = registry::find(protocol).value()->make](const replicated_log::Settings& settings,
                                                         Recovered recovered) {
    return std::make_unique<Bug>(make(settings, std::move(recovered)));
  };
}

// True once a seed violates the property (any, if none is named).
bool found(const Options& options, std::uint64_t seeds, std::string_view property = {}) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Result result = run_seed(options, seed);
    if (!result.ok && (property.empty() || result.property == property)) return true;
  }
  return false;
}

// The same, by what the failure says.
bool found_saying(const Options& options, std::uint64_t seeds, std::string_view words) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Result result = run_seed(options, seed);
    if (!result.ok && result.failure.find(words) != std::string::npos) return true;
  }
  return false;
}

Options options_with(replicated_log::Factory factory, const char* faults = "all") {
  Options options;
  options.factory = std::move(factory);
  options.faults = FaultSet::parse(faults).value();
  options.operations = 300;
  return options;
}

class AnswersBeforeDurable final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    if (auto* send = std::get_if<Send<Bytes>>(&effect)) send->after = Ticket();
    if (auto* emit = std::get_if<Emit<Event>>(&effect)) emit->after = Ticket();
  }
};

TEST(PlantedBugs, MessagesThatDoNotWaitForTheDiskAreFound) {
  EXPECT_TRUE(found(
      options_with(with<AnswersBeforeDurable>("raft"), "power_loss,restart_all,slow_disk,partition"), 1000));
}

class ReadsAtOnce final : public Spoiled {
  using Spoiled::Spoiled;
  bool spoil_input(In& input) override {
    auto* ask = std::get_if<Ask<replicated_log::Request>>(&input);
    auto* read = ask != nullptr ? std::get_if<replicated_log::ReadBarrier>(&ask->request) : nullptr;
    if (read == nullptr) return true;
    effects_.push_back(Emit<Event>{replicated_log::ReadReady{{read->id}, Index()}, Ticket()});
    return false;
  }
};

TEST(PlantedBugs, ReadsThatAskNobodyAreFound) {
  EXPECT_TRUE(found(options_with(with<ReadsAtOnce>("raft"), "none"), 20, "fresh reads"));
}

class SkipsAnEntry final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* emit = std::get_if<Emit<Event>>(&effect);
    auto* committed = emit != nullptr ? std::get_if<replicated_log::Committed>(&emit->event) : nullptr;
    if (committed == nullptr) return;
    for (Entry& entry : committed->entries) {
      if (entry.kind == EntryKind::payload && ++seen_ == 40) entry.payload = Bytes();
    }
  }
  int seen_ = 0;
};

TEST(PlantedBugs, AnEntryThatDiffersAtOneNodeIsFound) {
  EXPECT_TRUE(found(options_with(with<SkipsAnEntry>("raft"), "kill"), 50, "state machine safety"));
}

class ForgetsItsPromise final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* persist = std::get_if<Persist>(&effect);
    if (persist == nullptr) return;
    std::erase_if(persist->writes, [](const Write& write) {
      const auto* record = std::get_if<PutRecord>(&write);
      return record != nullptr && (record->key.ends_with("promised") || record->key.ends_with("accepted"));
    });
  }
};

TEST(PlantedBugs, APromiseThatIsNotWrittenIsFound) {
  auto paxos = options_with(with<ForgetsItsPromise>("paxos"), "restart_all,kill,partition,delay");
  paxos.leaders = false;
  EXPECT_TRUE(found(paxos, 200, "one value"));
}

class WaitsForNoDisk final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    if (auto* send = std::get_if<Send<Bytes>>(&effect)) send->after = Ticket();
  }
};

TEST(PlantedBugs, ABallotThatCouldBeUsedAgainIsFound) {
  auto paxos = options_with(with<WaitsForNoDisk>("paxos"), "none");
  paxos.leaders = false;
  EXPECT_TRUE(found(paxos, 10, "one ballot"));
}

TEST(PlantedBugs, AnAnswerInATermThatIsNotDurableIsFound) {
  EXPECT_TRUE(found(options_with(with<WaitsForNoDisk>("raft")), 20, "durable epoch"));
}

// Whatever it accepts it forgets with the same write.
class ForgetsWhatItAccepted final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* persist = std::get_if<Persist>(&effect);
    if (persist == nullptr || persist->writes.empty()) return;
    const auto* record = std::get_if<PutRecord>(&persist->writes.back());
    if (record != nullptr && record->key.ends_with("accepted") && !record->value.empty())
      persist->writes.emplace_back(PutRecord{record->key, {}});
  }
};

TEST(PlantedBugs, AnAcceptorThatForgetsWhatBindsItIsFound) {
  auto paxos = options_with(with<ForgetsWhatItAccepted>("paxos"), "none");
  paxos.leaders = false;
  EXPECT_TRUE(found(paxos, 1, "bound acceptor"));
}

// A read is answered by the slot in front of its own.
class ReadsInAnEarlierSlot final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* emit = std::get_if<Emit<Event>>(&effect);
    auto* ready = emit != nullptr ? std::get_if<replicated_log::ReadReady>(&emit->event) : nullptr;
    if (ready != nullptr) ready->index = ready->index.prev();
  }
};

TEST(PlantedBugs, AReadThatRidesOnASlotDecidedBeforeItIsFound) {
  auto paxos = options_with(with<ReadsInAnEarlierSlot>("paxos"), "none");
  paxos.leaders = false;
  EXPECT_TRUE(found(paxos, 5, "fresh reads"));
}

class NeverHandsOver final : public Spoiled {
  using Spoiled::Spoiled;
  bool spoil_input(In& input) override {
    const auto* ask = std::get_if<Ask<replicated_log::Request>>(&input);
    return ask == nullptr || !std::holds_alternative<replicated_log::TransferLeadership>(ask->request);
  }
};

TEST(PlantedBugs, AHandOverThatComesToNothingIsFound) {
  EXPECT_TRUE(found(options_with(with<NeverHandsOver>("raft"), "none"), 100, "liveness"));
}

class NeverChangesItsMembers final : public Spoiled {
  using Spoiled::Spoiled;
  bool spoil_input(In& input) override {
    const auto* ask = std::get_if<Ask<replicated_log::Request>>(&input);
    return ask == nullptr || !std::holds_alternative<replicated_log::Reconfigure>(ask->request);
  }
};

TEST(PlantedBugs, AChangeOfMembersThatComesToNothingIsFound) {
  auto paxos = options_with(with<NeverChangesItsMembers>("paxos"), "none");
  paxos.leaders = false;
  EXPECT_TRUE(found_saying(paxos, 40, "does not come into force"));
}

// Once it was given a whole state it takes no entries any more, and lives on states alone.
class LivesOnStates final : public Spoiled {
  using Spoiled::Spoiled;
  bool spoil_input(In& input) override {
    const auto* receive = restored_ ? std::get_if<Receive<Bytes>>(&input) : nullptr;
    if (receive == nullptr) return true;
    const auto message = codec::decode<raft::Message>(receive->message);
    const auto* append = message ? std::get_if<raft::AppendEntries>(&*message) : nullptr;
    return append == nullptr || append->entries.empty();
  }
  void spoil(Effect<Bytes, Event>& effect) override {
    const auto* emit = std::get_if<Emit<Event>>(&effect);
    restored_ =
        restored_ || (emit != nullptr && std::holds_alternative<replicated_log::Restore>(emit->event));
  }
  bool restored_ = false;
};

TEST(PlantedBugs, ANodeThatIsBroughtOneStateAfterTheOtherIsFound) {
  EXPECT_TRUE(found_saying(options_with(with<LivesOnStates>("raft"), "none"), 600, "one state after the"));
}

class ClaimsToLead final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* emit = std::get_if<Emit<Event>>(&effect);
    auto* changed = emit != nullptr ? std::get_if<replicated_log::LeaderChanged>(&emit->event) : nullptr;
    if (changed != nullptr) changed->epoch = Epoch(1);
  }
};

TEST(PlantedBugs, TwoLeadersOfAnEpochAreFound) {
  EXPECT_TRUE(
      found(options_with(with<ClaimsToLead>("raft"), "kill,transfer,partition"), 50, "election safety"));
}

class BreaksItsInvariant final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  [[nodiscard]] std::optional<std::string> check_invariants() const override {
    return seen_ > 300 ? std::optional<std::string>("planted") : std::nullopt;
  }

 private:
  bool spoil_input(In&) override { return ++seen_ != 0; }
  int seen_ = 0;
};

TEST(PlantedBugs, ABrokenInvariantIsFound) {
  EXPECT_TRUE(found(options_with(with<BreaksItsInvariant>("raft"), "none"), 1, "invariant"));
}

class StopsForNothing final : public Spoiled {
  using Spoiled::Spoiled;
  bool spoil_input(In&) override {
    if (++seen_ == 300) effects_.push_back(Emit<Event>{replicated_log::Halt{"planted"}, Ticket()});
    return true;
  }
  int seen_ = 0;
};

TEST(PlantedBugs, ANodeThatStopsWithoutNeedIsFound) {
  EXPECT_TRUE(found(options_with(with<StopsForNothing>("raft"), "none"), 1, "no needless stop"));
}

// The log says that it was cut behind a state which was not flushed.
class CutsItsLogTooFar final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* persist = std::get_if<Persist>(&effect);
    if (persist == nullptr) return;
    for (Write& write : persist->writes) {
      if (auto* snapshot = std::get_if<SnapshotTaken>(&write))
        snapshot->meta.index = snapshot->meta.index.next();
    }
  }
};

TEST(PlantedBugs, ALogCutBeforeTheStateIsDurableIsFound) {
  EXPECT_TRUE(found(options_with(with<CutsItsLogTooFar>("raft"), "kill"), 50, "starts again"));
}

// Tells of what is committed only when more is; at one node, which is therefore behind when all is quiet.
class LagsByOne final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* emit = std::get_if<Emit<Event>>(&effect);
    auto* committed = emit != nullptr ? std::get_if<replicated_log::Committed>(&emit->event) : nullptr;
    if (committed != nullptr) std::swap(committed->entries, held_);
  }
  std::vector<Entry> held_;
};

TEST(PlantedBugs, ANodeThatStaysBehindIsFound) {
  const auto make = registry::find("raft").value()->make;
  const auto factory = [make](const replicated_log::Settings& settings,
                              Recovered recovered) -> std::unique_ptr<Protocol> {
    auto inner = make(settings, std::move(recovered));
    if (settings.self != NodeId(3)) return inner;
    return std::make_unique<LagsByOne>(std::move(inner));
  };
  EXPECT_TRUE(found(options_with(factory, "none"), 30, "convergence"));
}

class FallsSilent final : public Spoiled {
  using Spoiled::Spoiled;
  bool spoil_input(In& input) override {
    return !std::holds_alternative<Receive<Bytes>>(input) || ++seen_ < 300;
  }
  int seen_ = 0;
};

TEST(PlantedBugs, ANodeThatStopsListeningIsFound) {
  EXPECT_TRUE(found(options_with(with<FallsSilent>("raft"), "none"), 20, "liveness"));
}

// Asks for a timer that is due at once, again and again.
class NeverRests final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    if (auto* timer = std::get_if<SetTimer>(&effect)) timer->at = Instant();
  }
};

TEST(PlantedBugs, ARunThatDoesNotEndIsFound) {
  Options options = options_with(with<NeverRests>("raft"), "none");
  options.most_events = 300'000;
  options.commit_bound = options.recovery_bound = 1h;
  EXPECT_TRUE(found(options, 1, "termination"));
}

// Once it led it says so for ever.
class KeepsItsTitle final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* emit = std::get_if<Emit<Event>>(&effect);
    auto* changed = emit != nullptr ? std::get_if<replicated_log::LeaderChanged>(&emit->event) : nullptr;
    if (changed == nullptr) return;
    if (title_ && changed->leader.none()) *changed = *title_;
    if (!changed->leader.none()) title_ = *changed;
  }
  std::optional<replicated_log::LeaderChanged> title_;
};

TEST(PlantedBugs, ALeaderThatNobodyHearsAndThatGoesOnIsFound) {
  EXPECT_TRUE(found(options_with(with<KeepsItsTitle>("raft"), "none"), 60, "stability"));
}

// No bug at all, but faults beyond the promise: what a lease stands on is the bound on the clocks' speed.
Options leases(const char* faults) {
  Options options = options_with(registry::find("raft").value()->make, faults);
  options.lease_reads = true;
  options.operations = 1000;
  options.nodes = 3;
  return options;
}

// Beyond a node whose log was damaged there may be no quorum that is whole.
Options options_with_damaged_majority(replicated_log::Factory factory) {
  Options options = options_with(std::move(factory));
  options.rejoin = registry::find("raft").value()->rejoin;
  options.damaged_majority = true;
  return options;
}

std::expected<std::vector<Write>, std::string> rejoin_unmarked(NodeId self,
                                                               const std::map<RecordKey, Bytes>& records,
                                                               const std::optional<SnapshotMeta>& state) {
  auto writes = registry::find("raft").value()->rejoin(self, records, state);
  if (!writes) return writes;
  std::erase_if(*writes, [](const Write& write) {
    const auto* put = std::get_if<PutRecord>(&write);
    return put != nullptr && put->key == raft::lost_key;
  });
  return writes;
}

TEST(DamagedMajority, ANodeThatTakesWhatItHasLeftForAllThereWasIsFound) {
  Options options = options_with_damaged_majority(registry::find("raft").value()->make);
  options.rejoin = rejoin_unmarked;
  EXPECT_TRUE(found(options, 60, "one vote"));
}

class RejoinsInSilence final : public Spoiled {
  using Spoiled::Spoiled;
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* emit = std::get_if<Emit<Event>>(&effect);
    auto* rejoining = emit != nullptr ? std::get_if<replicated_log::Rejoining>(&emit->event) : nullptr;
    if (rejoining != nullptr) rejoining->over = true;
  }
};

TEST(DamagedMajority, ANodeThatDoesNotSayWhatItLacksIsFound) {
  EXPECT_TRUE(found(options_with_damaged_majority(with<RejoinsInSilence>("raft")), 60, "refusal"));
}

TEST(BeyondThePromise, LeaseReadsUnderWildClocksAreFoundStale) {
  EXPECT_TRUE(found(leases("wild_clock,usurper"), 500, "fresh reads"));
}

TEST(WithinThePromise, LeaseReadsUnderDriftingClocksAreNot) {
  EXPECT_FALSE(found(leases("drift,usurper"), 100));
}

// Believes itself elected in every pre-vote: without one, who was cut off comes back with a higher term.
class SkipsPreVotes final : public Spoiled {
 public:
  using Spoiled::Spoiled;
  void step(Env& env, In&& input) override {
    Spoiled::step(env, std::move(input));
    for (auto& reply : std::exchange(replies_, {})) Spoiled::step(env, std::move(reply));
  }

 private:
  void spoil(Effect<Bytes, Event>& effect) override {
    auto* send = std::get_if<Send<Bytes>>(&effect);
    if (send == nullptr) return;
    const auto message = codec::decode<raft::Message>(send->message);
    const auto* ask = message ? std::get_if<raft::PreVote>(&*message) : nullptr;
    if (ask == nullptr) return;
    replies_.push_back({send->to, codec::encode(raft::Message(raft::PreVoteReply{ask->term, true, {}, {}}))});
  }
  std::vector<Receive<Bytes>> replies_;
};

TEST(PlantedBugs, ANodeThatUnseatsTheLeaderWhenItRejoinsIsFound) {
  EXPECT_TRUE(found(options_with(with<SkipsPreVotes>("raft"), "isolation"), 50, "steady leadership"));
}

// Where partial partitions last.
Options parted(replicated_log::Factory factory) {
  Options options = options_with(std::move(factory), "none");
  options.nodes = 5;
  options.operations = 50;
  options.lasting = true;
  return options;
}

TEST(PlantedBugs, LeadersThatTakeTurnsWhileLinksFlapAreFound) {
  EXPECT_TRUE(found(parted(with<SkipsPreVotes>("raft")), 60, "lasting partition"));
}

// Whoever is the only one to reach a quorum is never told what its log lacks, and is not elected.
class HelpsNobodyToCatchUp final : public Spoiled {
  using Spoiled::Spoiled;
  bool spoil_input(In& input) override {
    const auto* receive = std::get_if<Receive<Bytes>>(&input);
    if (receive == nullptr) return true;
    const auto message = codec::decode<raft::Message>(receive->message);
    return !message || !std::holds_alternative<raft::CatchUp>(*message);
  }
};

TEST(PlantedBugs, AQuorumThatIsReachedAndLeftWithoutALeaderIsFound) {
  EXPECT_TRUE(found(parted(with<HelpsNobodyToCatchUp>("raft")), 30, "lasting partition"));
}

TEST(SteadyLeadership, IsKeptWhenOnlyFollowersAreCutOff) {
  EXPECT_FALSE(found(options_with(registry::find("raft").value()->make, "isolation"), 200));
}

}  // namespace
}  // namespace quorate::sim
