// A replica: one node's share of one keyspace. It joins a replicated-log protocol, its durable writes, a
// state machine and its clients, and is itself deterministic and free of I/O: what it wants done goes to a
// Host, what was done comes back as calls. Simulator and runtime are two Hosts.
//
// Every call takes the Env of the moment. Calls are never made from within a Host call.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/replicated_log.h"
#include "models/model.h"
#include "replica/messages.h"
#include "replica/operations.h"
#include "replica/pending.h"
#include "replica/snapshot_receiver.h"
#include "replica/snapshot_sender.h"
#include "replica/state.h"
#include "storage/engine.h"

namespace quorate::replica {

// What a replica needs done.
class Host {
 public:
  Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  virtual ~Host() = default;

  virtual void send(NodeId to, Bytes frame) = 0;                       // may be lost
  virtual void persist(Ticket ticket, std::vector<Write> writes) = 0;  // answered by persisted(), in order
  // Committed entries are about to be applied, which takes a while: what is to be persisted should be on its
  // way to the disk by then.
  virtual void applying() {}
  virtual void set_timer(TimerId id, Instant at) = 0;  // replaces one of the same id
  virtual void cancel_timer(TimerId id) = 0;
  virtual void flush_state(Index upto) = 0;  // make the engine durable off-thread; answered by flushed(upto)
  virtual void await_flush() = 0;            // returns when no flush_state() is under way; rare, may block
  // Nothing more can be done safely: stop the node with this reason.
  virtual void halt(const std::string& reason) = 0;
  virtual void warn(const std::string& what) = 0;  // for the log that operators read
  // Observed changes, for routing, status and traces.
  virtual void leader_changed(NodeId leader, Epoch epoch) = 0;
  virtual void membership_changed(const Membership& membership) = 0;
};

struct Config {
  NodeId self;
  std::uint64_t incarnation = 1;       // greater at every start of the process; from durable storage
  Duration request_timeout = 5s;       // when an operation without an outcome is given up
  Duration retry_interval = 100ms;     // between attempts to find a leader
  Duration periodic_interval = 250ms;  // how often the leader's model is asked for a command
  Duration digest_interval = 1s;       // between two comparisons of the replicas' states
  std::size_t max_pending = 65'536;    // operations without an outcome
  std::size_t max_pending_bytes = 256U << 20U;
  std::size_t max_batch_bytes = 256U << 10U;    // of one log entry's commands
  std::uint64_t flush_after_entries = 100'000;  // applied since the last flush of the state
  std::uint64_t flush_after_bytes = 12U << 20U;
  // Work on committed commands (models::Pace) before messages and timers get their turn, and how long that
  // lasts at least.
  std::size_t apply_units = 8'000;
  Duration apply_pause{};
  std::size_t snapshot_chunk_bytes = 32U << 10U;  // a heartbeat waits behind one at least
  Duration snapshot_timeout = 10s;                // without progress, a transfer is given up
};

class Replica {
 public:
  // `home` must have been brought to the recovered log's point by recover_state().
  Replica(Config config, Host& host, std::unique_ptr<replicated_log::Protocol> protocol,
          storage::EngineHome& home, std::unique_ptr<storage::Engine> live,
          std::unique_ptr<models::Model> model);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  struct StateError {
    std::string what;
    bool lost = false;  // the state is damaged, or is not that of the log: to try again is of no use
  };
  // Finishes a snapshot installation that a crash interrupted and opens the live engine. Fails when the log
  // was cut in front of a state that is not there: the node has lost data it had promised to keep. A damaged
  // one is set aside where the log still has everything.
  static std::expected<std::unique_ptr<storage::Engine>, StateError> recover_state(
      storage::EngineHome& home, const Recovered& recovered);

  // The durable writes with which a replica goes on whose log was damaged, but not its `records`: its
  // protocol's, from the state that its engine holds. A received snapshot that is not live yet is dropped.
  static std::expected<std::vector<Write>, std::string> rejoin(storage::EngineHome& home, NodeId self,
                                                               const std::map<RecordKey, Bytes>& records,
                                                               replicated_log::Rejoin protocol);
  // The same where the state is lost, and the log, cut in front of it, is not: all must be brought. `members`
  // are those that the log tells of.
  static std::expected<std::vector<Write>, std::string> rejoin_without_state(
      NodeId self, const std::map<RecordKey, Bytes>& records, const Membership& members,
      replicated_log::Rejoin protocol);

  void start(Env& env);
  void receive(Env& env, NodeId from, const Bytes& frame);
  void timer(Env& env, TimerId id);
  void persisted(Env& env, Ticket upto);
  void flushed(Env& env, Index upto);
  // Makes the state durable now, whatever its thresholds say, and lets the protocol cut its log behind it.
  void checkpoint(Env& env);

  // Client operations. Each `done` is called exactly once, possibly before the call returns.
  void propose(Env& env, Bytes command, Done done);
  void read(Env& env, replicated_log::ReadMode mode, ReadDone done);
  // `base`: whom `members` were chosen to replace; where others are in force, the change fails as
  // change_pending. Empty: whoever there is.
  void reconfigure(Env& env, std::vector<Member> members, Done done, std::vector<Member> base = {});
  void transfer(Env& env, NodeId to, Done done);

  // Proposes what was queued since the last call as one batch. The driver calls it once per drain of its
  // input queues: that is the batching.
  void pump(Env& env);

  // Calls every outstanding `done` with `stopping`.
  void close();

  struct Status {
    NodeId self;
    NodeId leader;
    Epoch epoch;
    Index applied;
    Index committed;
    Index flushed;
    Membership membership;
    Index membership_index;  // of its entry, which may not be committed yet
    bool is_leader = false;
    bool rejoining = false;  // its log was damaged, and it does not have everything again
    std::size_t pending = 0;
  };
  [[nodiscard]] Status status() const;
  [[nodiscard]] Index applied() const { return state_.applied().index; }
  [[nodiscard]] Index committed() const { return committed_; }
  [[nodiscard]] Index membership_index() const { return membership_index_; }  // of Status
  // This member was removed, finally: the log says so, and nothing in it, applied or not, says otherwise. A
  // node that lost its state can not tell: it applies entries from before the members that it began with.
  // Nor can one whose log ends with a change that may still come to nothing.
  [[nodiscard]] bool removed(NodeId node) const {
    const AppliedPoint& applied = state_.applied();
    return !rejoining_ && membership_index_ <= applied.index && state_.removed(node) &&
           applied.membership.find(node) == nullptr && membership_.find(node) == nullptr;
  }
  // Those that the log removed, as far as it is applied; some of them may come to be needed again.
  [[nodiscard]] const std::vector<NodeId>& departed() const { return state_.departed(); }
  // The log removed this member once, or is about to: its id is used up.
  [[nodiscard]] bool once_removed(NodeId node) const {
    const bool leaves =
        state_.applied().membership.find(node) != nullptr && membership_.find(node) == nullptr;
    return leaves || state_.removed(node);
  }
  // A command of that node was executed, ever.
  [[nodiscard]] bool has_session(NodeId node) const { return state_.sessions().by_node.contains(node.value); }
  [[nodiscard]] bool rejoining() const { return rejoining_; }
  // False while a command is half done. The model answers queries then, but its engine must not be read
  // otherwise, nor flushed.
  [[nodiscard]] bool settled() const { return state_.settled(); }
  // Calls when that is so: at once, or from within a later call; not at all once closed.
  void when_settled(std::move_only_function<void()> call);
  [[nodiscard]] models::Model& model() { return state_.model(); }
  [[nodiscard]] storage::Engine& engine() { return state_.engine(); }
  [[nodiscard]] replicated_log::Protocol& protocol() { return *protocol_; }
  [[nodiscard]] std::optional<std::string> check_invariants() const;

 private:
  using Protocol = replicated_log::Protocol;

  struct ReadGroup {  // reads that share one barrier
    replicated_log::ReadMode mode;
    std::vector<ReadDone> waiters;
    Instant deadline;
    bool refused = false;  // the next tick asks anew
  };
  struct Change {  // a membership change or transfer under way
    std::optional<std::vector<Member>> members;
    std::vector<Member> base;
    NodeId to;
    Done done;
    Instant deadline;
    Instant asked_at;
    bool asked = false;       // since the leader last changed
    bool accepted = false;    // by a leader, ever: from then on it may happen
    bool taken = false;       // accepted by the leader that was asked last
    bool unanswered = false;  // asked of another node, which has not answered yet
    bool in_doubt = false;    // asked again while an earlier request may yet come to something
  };
  struct Asker {  // of a forwarded change
    NodeId node;
    std::uint64_t id = 0;
    std::uint64_t incarnation = 0;
  };
  // A protocol tries again as soon as it hears how that ended, and each try pins a state and sends a chunk of
  // it, which is in the way of what the node has coming in: so it hears a while later.
  struct RefusedOffer {
    replicated_log::SnapshotDelivered told_then;
    Instant until;
  };
  struct Gated {
    Ticket after;
    std::variant<Send<Bytes>, replicated_log::Event> effect;
  };

  // Driving the protocol.
  void step(Env& env, Protocol::In&& input);
  void settle_effects(Env& env);
  void release_gated(Env& env);
  void deliver(const Send<Bytes>& send);
  void handle(Env& env, replicated_log::Event&& event);
  void on(Env& env, replicated_log::Committed&& event);
  void on(Env& env, replicated_log::ReadReady&& event);
  void on(Env& env, replicated_log::Refused&& event);
  void on(Env& env, replicated_log::LeaderChanged&& event);
  void on(Env& env, replicated_log::MembershipChanged&& event);
  void on(Env& env, replicated_log::SendSnapshot&& event);
  void on(Env& env, replicated_log::Restore&& event);
  void on(Env& env, replicated_log::Halt&& event);
  void on(Env& env, replicated_log::Rejoining&& event);

  // Frames of other replicas.
  void on_frame(Env& env, NodeId from, ProtocolFrame&& frame);
  void on_frame(Env& env, NodeId from, Forward&& frame);
  void on_frame(Env& env, NodeId from, ForwardRefused&& frame);
  void on_frame(Env& env, NodeId from, ForwardReconfigure&& frame);
  void on_frame(Env& env, NodeId from, ForwardTransfer&& frame);
  void on_frame(Env& env, NodeId from, ForwardAnswer&& frame);
  void on_frame(Env& env, NodeId from, SnapshotChunk&& frame);
  void on_frame(Env& env, NodeId from, SnapshotAck&& frame);
  void on_frame(Env& env, NodeId from, DigestAsk&& frame);
  void on_frame(Env& env, NodeId from, DigestTold&& frame);
  void send(NodeId to, const Frame& frame);

  // Commands, reads, changes.
  // Changes pile up in memory faster than they are flushed: no more are proposed until the flush is done.
  // So does what is committed and not applied.
  [[nodiscard]] bool apply_lags() const { return state_.waiting_bytes() > config_.max_pending_bytes / 4; }
  [[nodiscard]] bool flush_lags() const {
    return flushing_ && bytes_since_flush_ > 4 * config_.flush_after_bytes;
  }
  void pump_commands(Env& env);
  std::vector<Command> take_unsent(Instant now);
  void propose_batches(Env& env, const std::vector<Command>& commands);
  void forward_batches(const std::vector<Command>& commands);
  std::optional<replicated_log::Refused> propose_batch(Env& env, CommandBatch batch);
  void refuse(std::span<const Command> commands, bool busy);
  void requeue(std::uint64_t number);
  void requeue_all();
  void drop_model_command();
  void pump_reads(Env& env);
  void issue_barrier(Env& env, ReadGroup group);
  void serve_ready_reads();
  void begin_change(Env& env, Change change, Done done);
  std::optional<replicated_log::Refused> ask_reconfigure(Env& env, replicated_log::Reconfigure change);
  void pump_changes(Env& env);
  void ask_change(Env& env, std::uint64_t id);
  std::optional<replicated_log::Refused> ask_protocol(Env& env, replicated_log::Request request,
                                                      std::uint64_t id);
  void change_answered(std::uint64_t id, std::optional<replicated_log::Refusal> refusal);
  void answer_forwarded(const Asker& asker, std::optional<replicated_log::Refusal> refusal);
  [[nodiscard]] static std::optional<Failure> final_failure(const Change& change,
                                                            replicated_log::Refusal refusal);
  [[nodiscard]] bool in_force(const Change& change) const;
  void finish_changes_in_force();

  // Committed entries.
  void apply(Env& env);
  void after_applying(Env& env);

  // Time.
  void arm_tick(Env& env);
  void tick(Env& env);
  void expire_commands(Env& env);
  void expire_reads(Env& env);
  void expire_changes(Env& env);
  void ask_model(Env& env);
  void compare_digests(Env& env);
  void judge_digests(Env& env);
  void tell_sampled_digest();
  void tend_snapshots(Env& env);
  void pin_staged_state(const std::vector<Write>& writes);
  void maybe_flush();
  void begin_flush();
  void offer_snapshot(Env& env);
  void halt(const std::string& reason);
  [[nodiscard]] bool leads() const { return leader_ == config_.self; }

  Config config_;
  Host* host_;
  std::unique_ptr<Protocol> protocol_;
  State state_;

  Ticket durable_;
  std::deque<Gated> gated_;
  std::vector<Effect<Bytes, replicated_log::Event>> spare_effects_;  // empty; its memory is used again
  bool halted_ = false;
  bool rejoining_ = false;
  NodeId leader_;
  Epoch epoch_;
  Index committed_;
  bool apply_due_ = false;                    // not all of that is applied: a timer runs
  Instant applied_at_ = Instant::min() + 1h;  // when something was last
  std::vector<std::move_only_function<void()>> until_settled_;
  std::vector<replicated_log::SendSnapshot> wanted_snapshots_;  // asked for while the state was not settled
  Index flushed_;
  Membership membership_;
  Index membership_index_;  // of its entry; none for the initial one

  PendingCommands pending_;
  std::vector<std::uint64_t> unsent_;  // numbers of pending commands that wait for the next pump
  std::vector<Command> forwarded_;     // other nodes' commands that wait for the next pump
  std::size_t forwarded_bytes_ = 0;
  std::uint64_t next_id_ = 1;                       // of proposals, barriers and changes
  bool congested_ = false;                          // the protocol refused: wait for a commit or a tick
  std::uint64_t asking_ = 0;                        // the request that is being asked right now, and
  std::optional<replicated_log::Refused> refused_;  // how it was refused, if it was

  std::vector<ReadDone> unread_[2];  // by ReadMode: wait for the next pump
  std::map<std::uint64_t, ReadGroup> barriers_;
  std::size_t in_barriers_ = 0;  // reads, in all of them
  struct ReadyRead {
    ReadDone done;
    Instant deadline;
  };
  std::multimap<Index, ReadyRead> ready_reads_;  // confirmed, wait for their index to be applied
  std::map<std::uint64_t, Change> changes_;
  // Of other nodes, accepted here, by the protocol's id.
  std::map<std::uint64_t, Asker> transfers_of_others_;
  std::map<std::uint64_t, Asker> reconfigurations_of_others_;

  std::map<NodeId, SnapshotSender> senders_;
  std::map<NodeId, RefusedOffer> refused_offers_;
  SnapshotReceiver receiver_;
  std::vector<replicated_log::SnapshotDelivered> abandoned_;  // to be told at the next pump
  std::uint64_t next_transfer_ = 1;

  bool checkpoint_due_ = false;  // asked for while the state was not settled
  std::optional<SnapshotMeta> flushing_;
  std::optional<SnapshotMeta>
      available_;           // flushed, and not told the protocol while a snapshot is being sent
  int held_back_ = 0;       // how many flushes ago that began
  bool delivered_ = false;  // a snapshot, since the log was cut
  std::uint64_t entries_since_flush_ = 0;
  std::uint64_t bytes_since_flush_ = 0;

  // Of the comparison under way, if this node leads; told_digests_ holds its own.
  Index comparing_;
  Instant comparing_since_ = Instant::min();
  std::map<NodeId, Bytes> told_digests_;
  Index compared_;  // equal at all members up to here
  NodeId digest_asked_by_;

  bool ticking_ = false;
  std::optional<std::uint64_t> model_command_;  // the number of the one in flight
};

}  // namespace quorate::replica
