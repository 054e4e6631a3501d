#include "sim/run.h"

#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "registry/registry.h"
#include "sim/register_model.h"

namespace quorate::sim {
namespace {

Options options_for(std::string_view protocol) {
  const auto found = registry::find(protocol).value();
  Options options;
  options.protocol = protocol;
  options.factory = found->make;
  options.rejoin = found->rejoin;
  options.leaders = found->family == registry::Family::replicated_log;
  return options;
}

class EveryProtocol : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Registry, EveryProtocol, testing::ValuesIn([] {
                           std::vector<std::string_view> names;
                           for (const auto& protocol : registry::all()) names.push_back(protocol.name);
                           return names;
                         }()),
                         [](const auto& each) { return std::string(each.param); });

TEST_P(EveryProtocol, SurvivesSomeSeedsWithAllFaults) {
  const Options options = options_for(GetParam());
  int of_three = 0;
  run_seeds(options, 1, 40, 2, [&](const Result& result) {
    EXPECT_TRUE(result.ok) << result.property << ": " << result.failure << "\n"
                           << reproduce(options, result.seed);
    of_three += result.faults.at_once >= 3;
    return result.ok;
  });
  EXPECT_GE(of_three, 24) << "runs with three kinds of faults or more in effect at once";
}

// Every shape is drawn and judged; most runs have one, since they begin with five voters.
TEST_P(EveryProtocol, CommitsGoOnWhileAPartialPartitionLasts) {
  Options options = options_for(GetParam());
  options.faults = FaultSet::none();
  options.nodes = 5;
  options.operations = 50;
  options.lasting = true;
  std::map<int, int> shapes;
  run_seeds(options, 1, 40, 2, [&](const Result& result) {
    EXPECT_TRUE(result.ok) << result.property << ": " << result.failure << "\n"
                           << reproduce(options, result.seed);
    ++shapes[result.lasting.shape];
    return result.ok;
  });
  for (int shape = 1; shape <= 5; ++shape) EXPECT_GT(shapes[shape], 0) << shape;
}

// Nothing that was acknowledged is lost, and nobody goes on without a quorum that can prove what it holds.
TEST_P(EveryProtocol, WaitsOrGoesOnRightWhenTheDisksOfMostAreDamaged) {
  Options options = options_for(GetParam());
  options.damaged_majority = true;
  options.operations = 200;
  std::uint64_t waiting = 0;
  std::uint64_t rejoined = 0;
  std::uint64_t refused = 0;
  run_seeds(options, 1, 60, 2, [&](const Result& result) {
    EXPECT_TRUE(result.ok) << result.property << ": " << result.failure << "\n"
                           << reproduce(options, result.seed);
    waiting += result.waits ? 1 : 0;
    rejoined += result.rejoined;
    refused += result.refused;
    return result.ok;
  });
  EXPECT_GE(waiting, 10U);
  EXPECT_LE(waiting, 45U) << "in the others a quorum was whole, or became so again";
  EXPECT_GE(refused, 10U);
  if (options.rejoin != nullptr) {
    EXPECT_GE(rejoined, 10U);
  }
}

TEST_P(EveryProtocol, RunsTheSameTwiceWithOrWithoutATrace) {
  const Options options = options_for(GetParam());
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    std::string trace;
    const Result once = run_seed(options, seed);
    const Result again = run_seed(options, seed, &trace);
    EXPECT_EQ(once.hash, again.hash) << reproduce(options, seed);
    EXPECT_EQ(once.events, again.events);
    EXPECT_GT(trace.size(), 1000U);
  }
}

TEST_P(EveryProtocol, ServesEveryOperationWhenNothingGoesWrong) {
  Options options = options_for(GetParam());
  options.faults = FaultSet::none();
  options.nodes = 3;
  const Result result = run_seed(options, 5);
  EXPECT_TRUE(result.ok) << result.failure;
  EXPECT_EQ(result.unknown, 0U);
  EXPECT_GE(result.acknowledged, 500U);
}

TEST(RunSeeds, TellsThemInOrderOnAnyNumberOfThreads) {
  const Options options = options_for("raft");
  std::vector<std::uint64_t> hashes[2];
  for (const unsigned jobs : {1U, 3U}) {
    std::uint64_t next = 10;
    run_seeds(options, 10, 20, jobs, [&](const Result& result) {
      EXPECT_EQ(result.seed, next++);
      hashes[jobs == 1 ? 0 : 1].push_back(result.hash);
      return true;
    });
    EXPECT_EQ(next, 21U);
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

// Each seed brings two kinds of faults together; those of a hundred seeds have every kind among them.
TEST(Pairs, AreInEffectAtOnce) {
  Options options = options_for("raft");
  options.pairs = true;
  int met = 0;
  run_seeds(options, 1, 100, 2, [&](const Result& result) {
    EXPECT_TRUE(result.ok) << result.property << ": " << result.failure << "\n"
                           << reproduce(options, result.seed);
    const auto pair = pair_of(result.seed, options.faults).kinds();
    met += result.faults.met[static_cast<std::size_t>(pair[0])].has(pair[1]);
    return result.ok;
  });
  EXPECT_GE(met, 80);
}

// The rarest when left to chance: two damages of one disk, two faults that last as long as a restart.
TEST(Pairs, OfDamagesAndDeathsMeetToo) {
  for (const char* pair :
       {"misdirected_write,stale_read", "misdirected_read,lost_file", "power_cut,crash_after_send",
        "failed_sync,snapshot_cut", "membership,transfer", "restart_all,isolation"}) {
    Options options = options_for("raft");
    options.together = FaultSet::parse(pair).value();
    const auto kinds = options.together.kinds();
    int met = 0;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      const Result result = run_seed(options, seed);
      EXPECT_TRUE(result.ok) << result.failure << "\n" << reproduce(options, seed);
      met += result.faults.met[static_cast<std::size_t>(kinds[0])].has(kinds[1]);
    }
    EXPECT_GE(met, 4) << pair;
  }
}

// A plan's number keeps its meaning: a run can be repeated with some of the faults that were to meet.
TEST(Pairs, CanBeLeftOutOneByOne) {
  Options options = options_for("raft");
  options.together = FaultSet::parse("kill,clog").value();
  options.faults = options.together;
  const Result both = run_seed(options, 3);
  EXPECT_EQ(both.faults.struck, options.together);
  ASSERT_EQ(both.plan.size(), 2U);
  options.keep = {1};
  FaultSet one;
  one.add(both.plan[1].kind);
  EXPECT_EQ(run_seed(options, 3).faults.struck, one);
}

TEST(Reproduce, SaysWhatDiffersFromTheUsual) {
  Options options;
  EXPECT_EQ(reproduce(options, 17), "quorate sim --protocol raft --seeds 17");
  options.nodes = 3;
  options.keep = {1, 4};
  options.faults.remove(FaultKind::drift);
  EXPECT_EQ(reproduce(options, 17),
            "quorate sim --protocol raft --seeds 17 --nodes 3 --faults all,-drift --keep 1,4");
  options = Options();
  options.together = FaultSet::parse("pause,kill").value();
  EXPECT_EQ(reproduce(options, 17), "quorate sim --protocol raft --seeds 17 --together pause,kill");
  options.together = FaultSet::none();
  options.pairs = options.lasting = options.behind = options.damaged_majority = true;
  EXPECT_EQ(reproduce(options, 17),
            "quorate sim --protocol raft --seeds 17 --pairs --lasting --behind --damaged-majority");
}

// Seeds that once found a bug, from tests/regressions/sim.txt, and what it was: protocol, seed, and perhaps
// the model, `damaged-majority`, kinds of faults for --together.
void set_option(Options& options, const std::string& word) {
  if (word == "etcd") {
    options.model = word;
  } else if (word == "damaged-majority") {
    options.damaged_majority = true;
  } else {
    const auto kinds = FaultSet::parse(word);
    ASSERT_TRUE(kinds) << word;
    options.together = *kinds;
  }
}

TEST(Regressions, SeedsThatOnceFailedPass) {
  std::ifstream list(QUORATE_REGRESSIONS);
  ASSERT_TRUE(list) << QUORATE_REGRESSIONS;
  int count = 0;
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string protocol;
    std::uint64_t seed = 0;
    if (!(words >> protocol >> seed)) continue;
    Options options = options_for(protocol);
    for (std::string word; words >> word;) set_option(options, word);
    const Result result = run_seed(options, seed);
    EXPECT_TRUE(result.ok) << line << "\n" << result.property << ": " << result.failure;
    ++count;
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace quorate::sim
