#include "check/linearizability.h"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "core/rng.h"

namespace quorate::check {
namespace {

Operation put(std::uint64_t client, std::string value, std::uint64_t invoked,
              std::optional<std::uint64_t> returned) {
  return {.client = client,
          .kind = OpKind::put,
          .key = "x",
          .argument = std::move(value),
          .invoked = invoked,
          .returned = returned};
}
Operation get(std::uint64_t client, std::optional<std::string> value, std::uint64_t invoked,
              std::uint64_t returned) {
  return {.client = client,
          .kind = OpKind::get,
          .key = "x",
          .invoked = invoked,
          .returned = returned,
          .observed = std::move(value)};
}
Operation append(std::uint64_t client, std::string suffix, std::uint64_t invoked,
                 std::optional<std::uint64_t> returned) {
  return {.client = client,
          .kind = OpKind::append,
          .key = "x",
          .argument = std::move(suffix),
          .invoked = invoked,
          .returned = returned};
}
Operation cas(std::uint64_t client, std::optional<std::string> from, std::string to, bool done,
              std::uint64_t invoked, std::uint64_t returned) {
  return {.client = client,
          .kind = OpKind::cas,
          .key = "x",
          .argument = std::move(to),
          .expected = std::move(from),
          .invoked = invoked,
          .returned = returned,
          .succeeded = done};
}

// The definition, tried out: every order, every choice of the unknown operations that took effect.
bool brute_force(const History& history, std::vector<bool>& taken, std::size_t left,
                 const RegisterSpec::State& state) {
  if (left == 0) return true;
  std::uint64_t horizon = UINT64_MAX;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (!taken[i] && history[i].returned) horizon = std::min(horizon, *history[i].returned);
  }
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (taken[i] || history[i].invoked > horizon) continue;
    const auto after = RegisterSpec::step(state, history[i]);
    if (!after) continue;
    taken[i] = true;
    if (brute_force(history, taken, left - (history[i].returned ? 1 : 0), *after)) return true;
    taken[i] = false;
  }
  return false;
}
bool brute_force(const History& history) {
  std::vector<bool> taken(history.size());
  const auto completed =
      std::ranges::count_if(history, [](const Operation& op) { return op.returned.has_value(); });
  return brute_force(history, taken, static_cast<std::size_t>(completed), std::nullopt);
}

// A few clients, few values, results drawn so that about half of the histories are linearizable.
History random_history(Rng& rng) {
  const std::size_t count = rng.between(2, 6);
  const std::uint64_t clients = rng.between(2, 3);
  struct Client {
    std::optional<std::size_t> open;
    std::uint64_t id;
  };
  std::vector<Client> state;
  for (std::uint64_t c = 0; c < clients; ++c) state.push_back({std::nullopt, c});
  std::uint64_t next_client = clients;
  History history;
  RegisterSpec::State live;  // of a plausible execution: effects happen at invocation
  auto value = [&] { return std::to_string(rng.below(3)); };
  for (std::uint64_t position = 0; position < 40; ++position) {
    Client& client = state[rng.below(state.size())];
    if (client.open) {
      if (rng.chance(0.2)) {  // never comes back; the client goes on under a new name
        client = {std::nullopt, next_client++};
      } else {
        history[*client.open].returned = position;
        client.open.reset();
      }
      continue;
    }
    if (history.size() == count) continue;
    Operation op{
        .client = client.id, .kind = static_cast<OpKind>(rng.below(5)), .key = "x", .invoked = position};
    if (op.kind != OpKind::get) op.argument = value();
    if (op.kind == OpKind::cas && rng.chance(0.8)) op.expected = value();
    op.observed = live;
    op.succeeded = op.kind == OpKind::cas ? live == op.expected : live.has_value();
    if (op.kind != OpKind::cas && op.kind != OpKind::erase) op.succeeded = true;
    if (rng.chance(0.15)) op.observed = value();
    if (rng.chance(0.05)) op.succeeded = !op.succeeded;
    Operation unknown = op;
    unknown.returned.reset();
    live = *RegisterSpec::step(live, unknown);
    client.open = history.size();
    history.push_back(op);
  }
  return history;
}

TEST(Linearizability, EqualsBruteForceOnRandomHistories) {
  const char* wanted = std::getenv("QUORATE_HISTORIES");
  const std::uint64_t count = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 1'000'000;
  Rng rng(20);
  std::uint64_t violations = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const History history = random_history(rng);
    const Finding finding = check_linearizable(history);
    ASSERT_NE(finding.verdict, Verdict::timeout);
    ASSERT_EQ(finding.ok(), brute_force(history)) << "history " << i << "\n" << finding.explanation;
    if (!finding.ok()) ++violations;
  }
  EXPECT_GT(violations, count / 20);  // both answers are well represented
  EXPECT_LT(violations, count - count / 20);
}

TEST(Linearizability, AcceptsConcurrentWritesInEitherOrder) {
  EXPECT_TRUE(check_linearizable(History{put(1, "a", 1, 4), put(2, "b", 2, 3), get(1, "a", 5, 6)}).ok());
  EXPECT_TRUE(check_linearizable(History{put(1, "a", 1, 4), put(2, "b", 2, 3), get(1, "b", 5, 6)}).ok());
}

TEST(Linearizability, FindsAStaleRead) {
  const History history{put(1, "a", 1, 2), put(1, "b", 3, 4), get(2, "a", 5, 6)};
  const Finding finding = check_linearizable(history);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_NE(finding.explanation.find("key x"), std::string::npos);
  EXPECT_NE(finding.explanation.find("2 of 3"), std::string::npos);
  EXPECT_NE(finding.explanation.find("client 2 get x gave a"), std::string::npos);
}

TEST(Linearizability, FindsALostUpdate) {
  const History history{cas(1, std::nullopt, "a", true, 1, 2), cas(2, std::nullopt, "b", true, 3, 4)};
  EXPECT_EQ(check_linearizable(history).verdict, Verdict::violation);
}

TEST(Linearizability, FindsADuplicatedAppend) {
  const History history{append(1, "a", 1, 2), get(2, "aa", 3, 4)};
  EXPECT_EQ(check_linearizable(history).verdict, Verdict::violation);
}

TEST(Linearizability, FindsAValueNobodyWrote) {
  EXPECT_EQ(check_linearizable(History{put(1, "a", 1, 2), get(2, "z", 3, 4)}).verdict, Verdict::violation);
}

TEST(Linearizability, FindsAValueThatComesAndGoes) {
  const History history{put(1, "a", 1, 10), get(2, "a", 2, 3), get(2, std::nullopt, 4, 5)};
  EXPECT_EQ(check_linearizable(history).verdict, Verdict::violation);
}

TEST(Linearizability, LetsAnUnknownOutcomeHappenLateOrNever) {
  const History late{put(1, "a", 1, std::nullopt), get(2, std::nullopt, 2, 3), get(2, "a", 50, 51)};
  EXPECT_TRUE(check_linearizable(late).ok());
  const History never{put(1, "a", 1, std::nullopt), get(2, std::nullopt, 2, 3), get(2, std::nullopt, 50, 51)};
  EXPECT_TRUE(check_linearizable(never).ok());
  const History twice{append(1, "a", 1, std::nullopt), get(2, "aa", 2, 3)};
  EXPECT_EQ(check_linearizable(twice).verdict, Verdict::violation);
  const History before{get(2, "a", 1, 2), put(1, "a", 3, std::nullopt)};
  EXPECT_EQ(check_linearizable(before).verdict, Verdict::violation);
}

TEST(Linearizability, FindsTheUnknownWritesThatMatterAmongMany) {
  History history;
  for (std::uint64_t i = 0; i < 40; ++i)
    history.push_back(append(100 + i, std::string(1, 'A' + i % 26), i, std::nullopt));
  history.push_back(get(1, "Z", 100, 101));
  history.push_back(get(1, "ZB", 102, 103));
  EXPECT_TRUE(check_linearizable(history).ok());
}

TEST(Linearizability, GivesUpWithinItsBudget) {
  History history;
  for (std::uint64_t i = 0; i < 30; ++i) history.push_back(append(i, std::to_string(i) + ".", i, 1000 + i));
  history.push_back(get(99, "never", 2000, 2001));
  const Finding finding = check_linearizable(history, 1000);
  EXPECT_EQ(finding.verdict, Verdict::timeout);
  EXPECT_NE(finding.explanation.find("gave up"), std::string::npos);
}

TEST(Linearizability, LeavesOutReadsThatMayBeStale) {
  History history{put(1, "a", 1, 2), get(2, std::nullopt, 3, 4)};
  EXPECT_FALSE(check_linearizable(history).ok());
  history[1].stale_allowed = true;
  EXPECT_TRUE(check_linearizable(history).ok());
}

}  // namespace
}  // namespace quorate::check
