// Raft (Ongaro, Ousterhout 2014; Ongaro's thesis 2014), whole: see README.md for the rules and where each
// lives. A plain protocol object of the replicated_log family: inputs go in, ordered effects come out.
//
// Fault model: crash and recovery with intact durable writes, messages lost, repeated, delayed, reordered;
// and logs damaged in a way that shows, of a minority of the voters (rejoin.cc). Data that is lost unseen and
// lying peers are outside it; malformed and impossible messages are dropped.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/replicated_log.h"
#include "quorum/quorum.h"
#include "replog/raft/log.h"
#include "replog/raft/messages.h"
#include "replog/raft/progress.h"

namespace quorate {
class Canonical;
}

namespace quorate::raft {

enum class State : std::uint8_t { follower, pre_candidate, candidate, leader };
const char* to_string(State state);

class Raft {
 public:
  using Message = raft::Message;
  using Request = replicated_log::Request;
  using Event = replicated_log::Event;
  using Out = Outbox<Message, Event>;
  using In = Input<Message, Request>;

  static constexpr TimerId election_timer{1};
  static constexpr TimerId heartbeat_timer{2};  // leader
  static constexpr TimerId read_timer{3};       // follower with forwarded reads

  Raft(const replicated_log::Settings& settings, Recovered recovered);

  void start(Env& env, Out& out);
  void step(Env& env, In&& input, Out& out);
  [[nodiscard]] std::optional<std::string> check_invariants() const;
  [[nodiscard]] std::string describe() const;

  // For tests, checks between nodes, and the lab.
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Epoch term() const { return term_; }
  [[nodiscard]] NodeId voted_for() const { return voted_for_; }
  [[nodiscard]] NodeId leader() const { return leader_; }
  [[nodiscard]] Index commit() const { return commit_; }
  [[nodiscard]] Index applied() const { return applied_; }
  [[nodiscard]] Index durable() const { return durable_; }
  [[nodiscard]] const Log& log() const { return log_; }
  [[nodiscard]] const Membership& membership() const { return configs_.back().membership; }
  [[nodiscard]] const Progress* progress(NodeId id) const;
  [[nodiscard]] bool rejoining() const { return lost_.has_value(); }
  [[nodiscard]] bool lease_valid(Instant now) const;
  [[nodiscard]] bool bound_to_a_leader(Instant now) const;
  void canonical(Canonical& to) const;

 private:
  struct Packed {  // an AppendEntries, as it is sent to all followers at the same place
    Epoch term;
    Index prev;
    Index last;  // of the log
    Index commit;
    Index end;  // of what is in it
    Bytes message;
  };
  struct Context {  // of a step
    Env& env;
    Out& out;
    Packed packed = {};
  };
  using Refusal = replicated_log::Refusal;

  struct Config {  // a membership and the entry (or snapshot) it came from; 0: the initial one
    Index index;
    Membership membership;
  };
  struct Unsettled {  // a write to the log that is not durable yet
    Ticket ticket;
    Index last;
    Instant since;
    bool forgiven = false;  // as Progress::forgiven
  };
  struct Proposal {
    std::uint64_t id;
    Index last;
  };
  struct PendingRead {
    NodeId from;  // none: asked here
    std::uint64_t id;
  };
  struct PendingReads {
    std::vector<std::uint64_t> own;
    std::map<NodeId, std::uint64_t> others;  // the latest request of each: it speaks for all its reads
    void add(PendingRead read);
    [[nodiscard]] bool empty() const { return own.empty() && others.empty(); }
  };
  struct ReadRound {
    std::uint64_t round;
    Index index;
    PendingReads reads;
  };
  struct ForwardedRead {
    std::uint64_t id;
    replicated_log::ReadMode mode;
    std::uint64_t first_request;  // 0: not sent yet
    Instant deadline;
  };
  struct Transfer {
    std::uint64_t id;
    NodeId to;
    Instant deadline;
  };
  struct Restoring {
    Ticket ticket;
    SnapshotMeta meta;
  };
  enum class Campaign : std::uint8_t { pre_vote, election, transfer };

  // raft.cc: dispatch, terms, durability, commit
  void receive(Context& c, NodeId from, Message&& message);
  void fired(Context& c, TimerId timer);
  void persisted(Context& c, Ticket upto);
  void become_follower(Context& c, Epoch term, NodeId leader);
  void abandon_leadership(Context& c);
  void set_leader(Context& c, NodeId leader);
  void announce(Context& c);
  void stage_hard_state() { hard_dirty_ = true; }
  void stage_log(Write write);
  Ticket flush(Context& c);
  void set_commit(Context& c, Index index);
  void emit_committed(Context& c);
  void refuse(Context& c, std::uint64_t id, Refusal reason) const;
  void halt(Context& c, std::string reason);
  [[nodiscard]] bool disk_stalled(Instant now) const;
  [[nodiscard]] bool plausible(Epoch term) const;
  template <class M>
  void send(Context& c, NodeId to, M message, Ticket after = {}) {
    c.out.send(to, Message(std::move(message)), after);
  }

  // election.cc
  void arm_election(Context& c, bool redraw);
  void heard_from_leader(Context& c);
  void election_due(Context& c);
  void campaign(Context& c, Campaign kind);
  void count_votes(Context& c);
  void become_leader(Context& c);
  [[nodiscard]] bool may_campaign() const;
  [[nodiscard]] bool heard_by_quorum() const;
  void on(Context& c, NodeId from, const RequestVote& m);
  void on(Context& c, NodeId from, const RequestVoteReply& m);
  void on(Context& c, NodeId from, const PreVote& m);
  void on(Context& c, NodeId from, const PreVoteReply& m);
  void on(Context& c, NodeId from, const TimeoutNow& m);

  // catch_up.cc
  void on(Context& c, NodeId from, const CatchUp& m);
  void on(Context& c, NodeId from, CatchUpReply& m);

  // leader.cc: the sending side of replication
  void ask(Context& c, replicated_log::Propose& request);
  void append_own(Context& c, std::vector<Entry> entries);
  void broadcast_entries(Context& c);
  void replicate(Context& c, Progress& p);
  void send_entries(Context& c, Progress& p);
  void send_empty(Context& c, Progress& p);
  const Packed& entries_behind(Context& c, Index prev) const;
  void tell_commit(Context& c);
  void advance_commit(Context& c);
  void tick(Context& c);
  void arm_tick(Context& c);
  void forgive_standing_still(Instant now);
  void broadcast_heartbeat(Context& c);
  void hand_over(Context& c);
  [[nodiscard]] bool quorum_heard(Instant now) const;
  [[nodiscard]] bool committed_in_term() const {
    return commit_ >= log_.base() && log_.term(commit_) == term_;
  }
  void on(Context& c, NodeId from, const AppendEntriesReply& m);
  void on(Context& c, NodeId from, const HeartbeatReply& m);
  Progress* find(NodeId id);

  // follower.cc: the receiving side of replication
  void on(Context& c, NodeId from, AppendEntries& m);
  void on(Context& c, NodeId from, const Heartbeat& m);
  void on(Context& c, NodeId from, const CommitIndex& m);
  [[nodiscard]] bool accept_leader(Context& c, NodeId from, Epoch term);
  [[nodiscard]] static bool well_formed(const AppendEntries& m);
  bool adopt_entries(Context& c, std::vector<Entry>& entries);
  void contradicted(Context& c, Index index);
  void reject(Context& c, NodeId to, Index prev);

  // membership.cc
  void ask(Context& c, replicated_log::Reconfigure& request);
  void take_effect(Context& c, Config config);
  void roll_back_configs(Context& c, Index from);
  void config_changed(Context& c);
  void append_membership(Context& c, Membership next);
  void leave_joint(Context& c);
  void rebuild_peers(Instant now);
  void drop_departed(Instant now);
  [[nodiscard]] const Membership& membership_at(Index index) const;
  [[nodiscard]] bool sole_voter() const;
  template <class F>
  void for_each_voter(F&& f) const {  // of both sets, each once
    for (const NodeId id : incoming_) f(id);
    for (const NodeId id : membership().outgoing) {
      if (!std::ranges::binary_search(incoming_, id)) f(id);
    }
  }
  template <class T, class Reached>
  [[nodiscard]] T agreed(Reached&& reached) const {  // by majorities of both sets (§4.3)
    const T incoming = quorum::agreed(incoming_, T{}, reached);
    const auto& outgoing = membership().outgoing;
    return outgoing.empty() ? incoming : std::min(incoming, quorum::agreed(outgoing, T{}, reached));
  }
  [[nodiscard]] static bool valid(const Membership& membership);
  [[nodiscard]] bool learners_ready(const Membership& next) const;

  // transfer.cc
  void ask(Context& c, replicated_log::TransferLeadership& request);
  void continue_transfer(Context& c);

  // reads.cc
  void ask(Context& c, replicated_log::ReadBarrier& request);
  void on(Context& c, NodeId from, const ReadIndex& m);
  void on(Context& c, NodeId from, const ReadIndexReply& m);
  void admit_read(Context& c, PendingRead read, replicated_log::ReadMode mode);
  void start_read_round(Context& c);
  void confirm_reads(Context& c);
  void answer_reads(Context& c, const PendingReads& reads, Index index);
  [[nodiscard]] std::size_t own_reads() const;
  void fail_reads(Context& c);
  void forward_reads(Context& c);
  void read_timer_fired(Context& c);
  [[nodiscard]] Duration read_retry() const;
  void write_reads(Canonical& to) const;
  void write_time(Canonical& to) const;

  // rejoin.cc
  void recover_lost(const Recovered& recovered);
  void regain(Context& c);

  // snapshot.cc
  void ask(Context& c, replicated_log::SnapshotAvailable& request);
  void ask(Context& c, replicated_log::SnapshotReceived& request);
  void ask(Context& c, replicated_log::SnapshotDelivered& request);
  void request_snapshot(Context& c, Progress& p);
  void finish_restore(Context& c);

  replicated_log::Settings settings_;
  std::string fault_;  // why this node can not go on; empty while it can

  // Durable (figure 3.1). Memory may be ahead of the disk by what is staged or unsettled.
  Epoch term_;
  NodeId voted_for_;
  Log log_;
  Index snapshot_index_;         // the latest durable snapshot's; entries above log_.base() may still be kept
  std::vector<Config> configs_;  // by index; the last is in force, earlier ones are needed for roll-back
  std::vector<NodeId> incoming_;  // the voters of the one in force
  bool remember_initial_ = false;
  std::optional<Epoch> lost_;  // entries of terms up to this are: no vote, no campaign

  // Writes of this step, and what earlier ones are on their way to the disk.
  bool hard_dirty_ = false;
  std::vector<Write> staged_;
  Ticket hard_ticket_;  // of the latest term and vote
  Ticket settled_;      // all tickets up to it are durable
  std::deque<Unsettled> unsettled_;
  Index durable_;  // the log is durable up to here
  std::optional<Restoring> restoring_;

  // Volatile, all servers.
  State state_ = State::follower;
  NodeId leader_;
  std::pair<NodeId, Epoch> announced_;
  Index commit_;
  Index applied_;  // handed to the host

  // Elections.
  Instant election_deadline_;
  std::optional<Instant> election_timer_at_;
  Duration election_timeout_{};  // drawn anew for each wait
  unsigned spread_ = 1;          // widens the draw when campaigns fail one after another
  unsigned failed_campaigns_ = 0;
  bool waited_again_ = false;  // since a leader was heard: a time-out came late, and was waited for once more
  Instant leader_heard_ = Instant::min();
  Instant silent_until_ = Instant::min();  // after a restart: promises given before it still bind
  Ticket vote_ticket_;                     // own vote counts once this is durable
  std::map<NodeId, bool> votes_;

  // Leader.
  Instant tick_due_;
  std::vector<Progress> peers_;
  std::deque<Proposal> proposals_;
  std::size_t uncommitted_bytes_ = 0;
  std::optional<std::uint64_t> change_;  // id of the Reconfigure under way
  std::optional<Transfer> transfer_;
  bool lease_given_up_ = false;  // a TimeoutNow went out in this term
  std::uint64_t round_ = 0;
  std::deque<Instant> round_sent_;  // send times of the rounds ending with round_
  PendingReads waiting_reads_;      // no round was sent since they came
  std::deque<ReadRound> confirming_;

  // Follower.
  std::vector<ForwardedRead> forwarded_;
  std::uint64_t read_request_ = 0;
  bool read_outstanding_ = false;
};

// The erased form. Fails by an immediate Halt event at start when what was recovered contradicts itself.
std::unique_ptr<replicated_log::Protocol> make_raft(const replicated_log::Settings& settings,
                                                    Recovered recovered);
[[nodiscard]] std::vector<Write> begin_with(const SnapshotMeta& state);
[[nodiscard]] std::expected<std::vector<Write>, std::string> rejoin(NodeId self,
                                                                    const std::map<RecordKey, Bytes>& records,
                                                                    const std::optional<SnapshotMeta>& state);

}  // namespace quorate::raft
