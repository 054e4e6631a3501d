// Each judge is shown what it must not let pass.
#include "tool/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quorate::faults {
namespace {

using check::OpKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Event put(const std::string& key, const std::string& value, std::int64_t create, std::int64_t version = 1) {
  return {.key = key, .put = true, .value = value, .create = create, .version = version, .lease = 0};
}
Event gone(const std::string& key) { return {.key = key, .put = false, .value = {}}; }
Step step(std::int64_t revision, std::vector<Event> events) { return {revision, std::move(events), {}}; }

Record record(OpKind kind, std::uint64_t invoked, std::uint64_t returned, std::uint64_t revision) {
  Record out;
  out.op.kind = kind;
  out.op.key = "r/k";
  out.op.invoked = invoked;
  out.op.returned = returned;
  out.op.index = revision;
  return out;
}
Record wrote(const std::string& value, std::uint64_t invoked, std::uint64_t returned,
             std::uint64_t revision) {
  auto out = record(OpKind::put, invoked, returned, revision);
  out.op.argument = value;
  return out;
}
Record saw(const std::string& value, std::uint64_t invoked, std::uint64_t returned, std::uint64_t revision,
           std::int64_t mod) {
  auto out = record(OpKind::get, invoked, returned, revision);
  if (!value.empty()) out.op.observed = value;
  out.mod_revision = mod;
  return out;
}

const std::vector<Step> two_puts{step(5, {put("r/k", "a", 5)}), step(6, {put("r/k", "b", 5, 2)})};

TEST(EventLog, AGapARepetitionAndABrokenPromiseAreTold) {
  Sequence sequence(4);
  EXPECT_TRUE(sequence.take(5));
  EXPECT_TRUE(sequence.progress(5));
  EXPECT_THAT(sequence.take(7).error(), HasSubstr("left out"));
  EXPECT_THAT(sequence.take(5).error(), HasSubstr("again"));
  EXPECT_THAT(sequence.progress(6).error(), HasSubstr("claimed"));
}

TEST(EventLog, WatchersMustAgree) {
  EventLog log(4);
  EXPECT_TRUE(log.deliver(5, {put("r/k", "a", 5)}));
  EXPECT_TRUE(log.deliver(5, {put("r/k", "a", 5)}));
  EXPECT_THAT(log.deliver(5, {put("r/k", "b", 5)}).error(), HasSubstr("different"));
  EXPECT_FALSE(log.deliver(7, {put("r/k", "b", 5)}));
}

TEST(Answers, AGoodHistoryPasses) {
  EXPECT_THAT(
      judge_answers(two_puts, std::vector{wrote("a", 1, 2, 5), saw("a", 3, 4, 5, 5), wrote("b", 5, 6, 6)}),
      IsEmpty());
}

TEST(Answers, AnAcknowledgedWriteThatIsNotThereIsFound) {
  EXPECT_THAT(judge_answers(two_puts, std::vector{wrote("c", 1, 2, 6)}),
              ElementsAre(HasSubstr("no such event")));
  EXPECT_THAT(judge_answers(two_puts, std::vector{wrote("c", 1, 2, 9)}),
              ElementsAre(HasSubstr("no such event")));
}

TEST(Answers, AReadOfAnotherStateIsFound) {
  EXPECT_THAT(judge_answers(two_puts, std::vector{saw("a", 1, 2, 6, 5)}),
              ElementsAre(HasSubstr("there was b")));
  EXPECT_THAT(judge_answers(two_puts, std::vector{saw("", 1, 2, 5, 0)}),
              ElementsAre(HasSubstr("there was a")));
  EXPECT_THAT(judge_answers(two_puts, std::vector{saw("b", 1, 2, 6, 5)}),
              ElementsAre(HasSubstr("revision was 6")));
}

TEST(Answers, AStaleReadIsFoundUnlessItWasAskedFor) {
  auto stale = saw("a", 3, 4, 5, 5);
  EXPECT_THAT(judge_answers(two_puts, std::vector{wrote("b", 1, 2, 6), stale}),
              ElementsAre(HasSubstr("stale")));
  stale.op.stale_allowed = true;
  EXPECT_THAT(judge_answers(two_puts, std::vector{wrote("b", 1, 2, 6), stale}), IsEmpty());
}

TEST(Answers, AWriteExecutedTwiceIsFound) {
  EXPECT_THAT(judge_answers(std::vector{two_puts[0], step(6, {put("r/k", "a", 5, 2)})}, {}),
              ElementsAre(HasSubstr("twice")));
}

TEST(Answers, AWrongVersionIsFound) {
  EXPECT_THAT(judge_answers(std::vector{two_puts[0], step(6, {put("r/k", "b", 6, 1)})}, {}),
              ElementsAre(HasSubstr("should have 5 and 2")));
}

TEST(Answers, SwapsAndDeletesAreComparedWithTheState) {
  auto swap = record(OpKind::cas, 1, 2, 6);
  swap.op.argument = "b";
  swap.op.expected = "a";
  auto lost = swap;
  lost.op.succeeded = false;
  lost.op.index = 5;
  auto erased = record(OpKind::erase, 3, 4, 6);
  EXPECT_THAT(judge_answers(two_puts, std::vector{swap}), IsEmpty());
  EXPECT_THAT(judge_answers(two_puts, std::vector{lost}), ElementsAre(HasSubstr("there was a")));
  EXPECT_THAT(judge_answers(two_puts, std::vector{erased}), ElementsAre(HasSubstr("no such event")));
}

TEST(Linearizable, UnknownWritesMayHaveHappenedIfTheLogSaysSo) {
  auto unknown = wrote("b", 1, 0, 0);
  unknown.op.returned.reset();
  std::uint64_t inconclusive = 0;
  const std::vector history{wrote("a", 2, 3, 5), unknown, saw("b", 4, 5, 6, 6)};
  EXPECT_THAT(judge_linearizable(two_puts, history, inconclusive), IsEmpty());
  EXPECT_THAT(judge_linearizable(std::span(two_puts).first(1), history, inconclusive),
              ElementsAre(HasSubstr("not linearizable")));
  EXPECT_EQ(inconclusive, 0U);
}

TEST(Owners, AWriteUnderALockThatAnotherHoldsIsFound) {
  const std::vector<Step> good{step(5, {put("lock/x/1", "", 5)}), step(6, {put("lock/x/2", "", 6)}),
                               step(7, {put("fenced/x", "5 1", 7)}), step(8, {gone("lock/x/1")}),
                               step(9, {put("fenced/x", "6 2", 7, 2)})};
  EXPECT_THAT(judge_owners(good), IsEmpty());
  auto early = good;
  std::swap(early[3].events, early[4].events);
  EXPECT_THAT(judge_owners(early), ElementsAre(HasSubstr("two owners")));
  auto lost = good;
  lost[4].events[0].value = "6 1";
  EXPECT_THAT(judge_owners(lost), ElementsAre(HasSubstr("lost update")));
}

TEST(Owners, AProclamationOfOneWhoWasNotElectedIsFound) {
  const std::vector<Step> steps{step(5, {put("elect/x/1", "elected", 5)}),
                                step(6, {put("elect/x/2", "elected", 6)}),
                                step(7, {put("elect/x/2", "0", 6, 2)})};
  EXPECT_THAT(judge_owners(steps), ElementsAre(HasSubstr("two leaders")));
}

TEST(Leases, AKeyThatGoesBeforeItsTimeIsFound) {
  const auto begun = client::Clock::now();
  Step deleted{5, {gone("leased/x")}, begun + std::chrono::milliseconds(1900)};
  const std::vector<LeaseRecord> leases{{"leased/x", begun, std::chrono::seconds(2)}};
  EXPECT_THAT(judge_leases(std::span(&deleted, 1), leases), ElementsAre(HasSubstr("went 1.900 s")));
  deleted.received += std::chrono::milliseconds(200);
  EXPECT_THAT(judge_leases(std::span(&deleted, 1), leases), IsEmpty());
}

TEST(Stores, AMemberThatHoldsSomethingElseIsFound) {
  const Store told{{"r/k", {"b", 5, 6, 2, 0}}};
  EXPECT_THAT(judge_stores(two_puts, 6, "r/", {{"a", told}, {"b", told}}), IsEmpty());
  auto lost = told;
  lost.clear();
  auto older = told;
  older["r/k"] = {"a", 5, 5, 1, 0};
  auto more = told;
  more["r/never"] = {"c", 6, 6, 1, 0};
  auto leased = told;
  leased["r/k"].lease = 7;
  for (const auto& wrong : {lost, older, more, leased}) {
    EXPECT_THAT(judge_stores(two_puts, 6, "r/", {{"a", told}, {"b", wrong}}),
                ElementsAre(HasSubstr("b holds")));
  }
  EXPECT_THAT(judge_stores(two_puts, 6, "r/", {{"a", std::unexpected("no answer")}}),
              ElementsAre(HasSubstr("does not come to revision 6")));
}

TEST(Stores, OnlyTheRunsKeysUpToTheRevisionCount) {
  EXPECT_THAT(judge_stores(two_puts, 5, "r/", {{"a", Store{{"r/k", {"a", 5, 5, 1, 0}}}}}), IsEmpty());
  EXPECT_THAT(judge_stores(two_puts, 6, "s/", {{"a", Store{}}}), IsEmpty());
}

}  // namespace
}  // namespace quorate::faults
