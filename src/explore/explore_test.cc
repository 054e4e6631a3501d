#include "explore/explore.h"

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "explore/explorer.h"
#include "explore/paxos_subject.h"
#include "explore/raft_subject.h"

namespace quorate::explore {
namespace {

Bounds scope(std::uint64_t terms, std::uint32_t commands, std::uint32_t crashes) {
  Bounds bounds;
  bounds.terms = terms;
  bounds.commands = commands;
  bounds.crashes = crashes;
  return bounds;
}

void exhausted(const Report& report, std::uint64_t states, std::uint32_t depth) {
  EXPECT_FALSE(report.violation) << report.violation->what;
  EXPECT_EQ(report.stopped, "");
  EXPECT_EQ(report.states, states);
  EXPECT_EQ(report.depth, depth);
}

TEST(Explore, PaxosHoldsInAllStates) { exhausted(explore("paxos", scope(1, 2, 0)), 187'363, 21); }

TEST(Explore, RaftHoldsInAllStates) {
  exhausted(explore("raft", scope(2, 0, 1)), 41'112, 21);
  exhausted(explore("raft", scope(1, 2, 1)), 98'050, 25);
}

TEST(Explore, RaftHoldsWhereLeadershipIsTransferredAndLogsAreCut) {
  Bounds transfer = scope(2, 0, 0);
  transfer.transfers = 1;
  exhausted(explore("raft", transfer), 36'472, 21);
  Bounds snapshot = scope(2, 0, 0);
  snapshot.snapshots = 1;
  exhausted(explore("raft", snapshot), 21'711, 23);
}

// Of three logs any may be damaged, two at once or one twice: whoever is left can not be elected by itself.
TEST(Explore, RaftHoldsWhereLogsOfAMajorityAreDamaged) {
  Bounds damaged = scope(3, 0, 0);
  damaged.candidates = {1, 2, 2};
  damaged.damages = 2;
  exhausted(explore("raft", damaged), 136'608, 26);
}

Bounds lease_scope() {
  Bounds bounds = scope(2, 0, 0);
  bounds.candidates = {1, 2};
  bounds.ticks = 4;
  bounds.timers = 2;
  return bounds;
}

TEST(Explore, NobodyIsElectedWhileALeaseHolds) { exhausted(explore("raft", lease_scope()), 277'797, 28); }

struct ForgetfulRaft : RaftSubject {  // who may vote finds that time has passed, whatever it promised
  static std::optional<Host::In> input(Host& host, NodeId self, NodeId from, const Message& message,
                                       Sent& sent) {
    auto in = host.input(self, from, message, sent);
    auto* receive = in ? std::get_if<Receive<raft::Message>>(&*in) : nullptr;
    auto* vote = receive != nullptr ? std::get_if<raft::RequestVote>(&receive->message) : nullptr;
    if (vote != nullptr) vote->leadership_transfer = true;
    return in;
  }
};

TEST(Explore, ALeaseThatVotersForgetIsFound) {
  Bounds bounds = lease_scope();
  bounds.heartbeats = 1;
  const Report report = Explorer<ForgetfulRaft>(bounds).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->what, "the lease of term 1 holds, and the leader of term 2 is node 2");
  EXPECT_EQ(report.violation->trace.size(), 15U);
}

struct HastyRaft : RaftSubject {  // votes and acknowledgements leave before they are durable
  static constexpr bool waits_for_disk = false;
};

TEST(Explore, AVoteForgottenInACrashIsFoundWithItsShortestTrace) {
  const Report report = Explorer<HastyRaft>(scope(1, 0, 1)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->what,
            "the leader of term 1 is node 1, and then the leader of term 1 is node 2");
  const auto& trace = report.violation->trace;
  ASSERT_EQ(trace.size(), 6U);
  EXPECT_EQ(trace[0], "node 1: its election timer fires");
  EXPECT_TRUE(trace[1].ends_with("it crashes before anything of this is durable, and restarts")) << trace[1];
  EXPECT_EQ(trace[2], "node 2: its election timer fires");
}

struct HastyPaxos : PaxosSubject {
  static constexpr bool waits_for_disk = false;
};

TEST(Explore, APromiseForgottenInACrashIsFoundWithItsShortestTrace) {
  const Report report = Explorer<HastyPaxos>(scope(1, 2, 1)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->what, "the decision is v0, and then the decision is v1");
  const auto& trace = report.violation->trace;
  ASSERT_EQ(trace.size(), 10U);
  EXPECT_EQ(trace[0], "node 1 is asked to propose v0");
  EXPECT_TRUE(trace[3].ends_with("it crashes before anything of this is durable, and restarts")) << trace[3];
  EXPECT_EQ(trace[5], "node 3 is asked to propose v1");
}

struct JealousPaxos : PaxosSubject {  // judged by a property that does not hold
  static std::string shape(const Protocol& p) { return std::to_string(p.round()); }
  static std::optional<std::string> differ(const Protocol& a, const Protocol& b) {
    if (a.round() == 0 || b.round() == 0) return std::nullopt;
    return "two proposers";
  }
};

TEST(Explore, APropertyOfTwoNodesIsJudgedInEachState) {
  const Report report = Explorer<JealousPaxos>(scope(1, 2, 0)).run();
  ASSERT_TRUE(report.violation);
  EXPECT_EQ(report.violation->trace,
            (std::vector<std::string>{"node 1 is asked to propose v0", "node 2 is asked to propose v1"}));
}

// A message that was taken away because it could have no effect any more: whatever its sender and its
// receiver are of what was come across, it has none when it is delivered, and what it is answered with has
// none in turn; whatever either of them does next, that stays so.
template <class S>
class DeadMessages {
 public:
  // What is taken for lost, though it has an effect on a receiver of which this is seen.
  using Excepted = std::function<bool(const typename S::Message&, const typename S::Glance&)>;
  DeadMessages(const Bounds& bounds, Excepted excepted)
      : bounds_(bounds), explorer_(bounds), excepted_(std::move(excepted)) {}

  void check() {
    ASSERT_EQ(explorer_.run().stopped, "");
    nodes_ = catalog().nodes();  // what follows adds some
    packets_ = catalog().packets();
    look_at_senders();
    for (std::uint32_t node = 0; node < nodes_ && !testing::Test::HasFatalFailure(); ++node) {
      if (!catalog().within(node)) continue;
      const auto actions = actions_of(node);
      for (std::uint32_t packet = 0; packet < packets_; ++packet) {
        if (catalog().receiver(packet) != position(node)) continue;
        for (const bool crashes_left : {true, false}) check_one(packet, node, crashes_left, actions);
      }
    }
    EXPECT_GT(checked_, 1000U);
    EXPECT_GT(by_sender_, 0U) << "rules that ask who sent it";
  }

 private:
  using Sender = typename S::Sender;
  auto& catalog() { return explorer_.catalog(); }
  std::uint8_t position(std::uint32_t node) { return catalog().node(node).local.self(); }
  Sender sender(std::uint32_t node) { return S::as_sender(catalog().glance(node)); }
  bool dead(std::uint32_t packet, Sender from, std::uint32_t node, bool crashes_left) {
    const auto at = static_cast<std::uint8_t>(catalog().packet(packet).from.value - 1);
    return S::dead({bounds_, catalog().note(packet), at, crashes_left}, from, catalog().glance(node));
  }
  std::string told(std::uint32_t packet, std::uint32_t node) {
    return codec::to_json(catalog().packet(packet).message) + " at " +
           catalog().node(node).local.protocol().describe();
  }

  std::vector<Action> actions_of(std::uint32_t node) {
    const std::uint8_t self = position(node);
    std::vector<Action> actions{{Kind::crash, self, Action::whole_step, 0}};
    for (const auto& [timer, at] : catalog().node(node).local.timers())
      actions.push_back({Kind::fire, self, Action::whole_step, static_cast<std::uint32_t>(timer.value)});
    for (std::uint32_t packet = 0; packet < packets_; ++packet) {
      if (catalog().receiver(packet) == self)
        actions.push_back({Kind::deliver, self, Action::whole_step, packet});
    }
    return actions;
  }

  // What counts of a sender, and how that can change in one action.
  void look_at_senders() {
    for (std::uint32_t node = 0; node < nodes_; ++node) {
      if (!catalog().within(node)) continue;
      senders_.insert(sender(node));
      for (const Action& action : actions_of(node)) {
        const std::uint32_t next = catalog().act(node, action).node;
        if (next != Catalog<S>::impossible && catalog().within(next))
          moves_.insert({sender(node), sender(next), action.kind == Kind::crash});
      }
    }
  }

  void check_one(std::uint32_t packet, std::uint32_t node, bool crashes_left,
                 const std::vector<Action>& actions) {
    std::vector<Sender> gone;
    for (const Sender from : senders_) {
      if (dead(packet, from, node, crashes_left)) gone.push_back(from);
    }
    if (gone.empty()) return;
    if (gone.size() != senders_.size()) by_sender_ += gone.size();
    for (const Sender from : gone) {
      has_no_effect(packet, from, node, crashes_left);
      ASSERT_TRUE(dead(packet, from, node, false)) << told(packet, node) << ", and then nobody can crash";
    }
    for (const auto& [from, to, crash] : moves_) {
      const bool goes_on = (crashes_left || !crash) && std::ranges::count(gone, from) != 0;
      ASSERT_TRUE(!goes_on || dead(packet, to, node, crashes_left))
          << told(packet, node) << ", and its sender goes on";
    }
    for (const Action& action : actions) {
      if (action.kind == Kind::crash && !crashes_left) continue;
      const std::uint32_t next = catalog().act(node, action).node;
      if (next == Catalog<S>::impossible || !catalog().within(next)) continue;
      for (const Sender from : gone) {
        ASSERT_TRUE(dead(packet, from, next, crashes_left))
            << told(packet, node) << ", and then at " << catalog().node(next).local.protocol().describe();
        ++checked_;
      }
    }
  }

  void has_no_effect(std::uint32_t packet, Sender from, std::uint32_t node, bool crashes_left) {
    if (excepted(packet, node)) return;
    const auto outcome = catalog().act(node, {Kind::deliver, position(node), Action::whole_step, packet});
    if (outcome.node == Catalog<S>::impossible) return;
    ASSERT_EQ(outcome.node, node) << told(packet, node);
    for (const std::uint32_t answer : outcome.sent) {
      ASSERT_EQ(catalog().packet(answer).to, catalog().packet(packet).from) << told(packet, node);
      // Its receiver is any node that is such a sender.
      for (std::uint32_t at = 0; at < nodes_; ++at) {
        if (!catalog().within(at) || position(at) != catalog().receiver(answer) || sender(at) != from ||
            excepted(answer, at))
          continue;
        ASSERT_TRUE(dead(answer, sender(node), at, crashes_left))
            << told(packet, node) << ", answered by " << told(answer, at);
      }
    }
  }

  bool excepted(std::uint32_t packet, std::uint32_t node) {
    return excepted_(catalog().packet(packet).message, catalog().glance(node));
  }

  Bounds bounds_;
  Explorer<S> explorer_;
  Excepted excepted_;
  std::size_t nodes_ = 0;
  std::size_t packets_ = 0;
  std::set<Sender> senders_;
  std::set<std::tuple<Sender, Sender, bool>> moves_;  // from, to, by a crash
  std::uint64_t checked_ = 0;
  std::uint64_t by_sender_ = 0;
};

TEST(Explore, MessagesThatAreTakenAwayHaveNoEffect) {
  const auto none = [](const auto&, const auto&) { return false; };
  DeadMessages<PaxosSubject>(scope(1, 2, 0), none).check();
  DeadMessages<PaxosSubject>(scope(1, 1, 1), none).check();
  // README.md, "Taken for lost".
  DeadMessages<RaftSubject>(scope(2, 1, 0), [](const auto& message, const auto& receiver) {
    const bool candidate = receiver.state == raft::State::candidate;
    if (const auto* vote = std::get_if<raft::RequestVoteReply>(&message))
      return !vote->vote_granted && vote->term.value == receiver.term && candidate;
    const auto* append = std::get_if<raft::AppendEntriesReply>(&message);
    return append != nullptr && append->term.value == receiver.term &&
           (candidate || receiver.state == raft::State::leader);
  }).check();
}

TEST(Explore, ALimitIsTold) {
  Bounds bounds = scope(1, 1, 1);
  bounds.max_depth = 3;
  EXPECT_EQ(explore("raft", bounds).stopped, "max-depth");
  bounds.max_depth = 0;
  bounds.max_states = 100;
  EXPECT_EQ(explore("raft", bounds).stopped, "max-states");
  EXPECT_FALSE(known("zab"));
}

}  // namespace
}  // namespace quorate::explore
