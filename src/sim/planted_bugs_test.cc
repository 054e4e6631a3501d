// The simulator must bite: protocols with a bug planted around them, each found within a few seeds and by the
// property that is meant for it.
#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>

#include "registry/registry.h"
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
  void step(Env& env, In input) override {
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
  EXPECT_TRUE(found(paxos, 200, "state machine safety"));
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

}  // namespace
}  // namespace quorate::sim
