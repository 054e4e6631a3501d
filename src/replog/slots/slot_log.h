// A replicated log out of any agreement protocol, one instance per slot: slot = Index.
//
// The leader of Ω proposes each payload in the first free slot of a window of alpha slots behind the decided
// prefix; a payload whose slot goes to another value is proposed again in a later one. A value is executed
// when all slots before it are decided; gaps are filled with no-ops. See README.md for what it takes from
// which paper, and for its limits.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/replicated_log.h"
#include "replog/slots/configurations.h"
#include "replog/slots/instances.h"
#include "replog/slots/messages.h"
#include "replog/slots/omega.h"

namespace quorate::slots {

struct Options {
  std::uint64_t window =
      32;  // alpha: slots in which proposals may run ahead of the decided prefix; equal at all nodes
  std::size_t max_queued = 4096;  // payloads not yet proposed; more are refused as busy
  std::size_t max_queued_bytes = 64U << 20U;
  std::size_t max_reads = 65'536;  // of this node's host, without an answer; more are refused as busy
};

class SlotLog {
 public:
  using Message = slots::Message;
  using Request = replicated_log::Request;
  using Event = replicated_log::Event;
  using In = Input<Message, Request>;

  SlotLog(const replicated_log::Settings& settings, Options options, AgreementFactory factory,
          Recovered recovered);

  void start(Env& env, Out& out);
  void step(Env& env, const In& input, Out& out);
  [[nodiscard]] std::optional<std::string> check_invariants() const;
  [[nodiscard]] std::string describe() const;

 private:
  struct Reader {  // who waits for a read: an id of this node's host, or another node's numbered batch
    NodeId node;
    std::uint64_t incarnation = 0;
    std::uint64_t number = 0;
    friend auto operator<=>(const Reader&, const Reader&) = default;
  };
  struct Own {  // a proposal of this node
    std::uint64_t sequence = 0;
    EntryKind kind = EntryKind::noop;
    Bytes payload;
    std::uint64_t request = 0;         // the host's id, for Refused; 0: none, or refused already
    bool insist = false;               // to be proposed until it wins a slot
    std::vector<Reader> readers;       // may read once it is executed
    std::vector<Member> members = {};  // of a change,
    std::vector<Member> base = {};     // and whom they replace; empty: whoever there is
  };
  struct Decided {
    Entry entry;
    NodeId origin;
    std::uint64_t incarnation = 0;
    std::uint64_t sequence = 0;
  };
  struct AskedChange {
    std::uint64_t request = 0;
    Bytes membership;
  };
  struct Transfer {
    std::uint64_t id = 0;
    NodeId to;
    Instant deadline;
  };
  struct ForwardedReads {
    std::uint64_t number = 0;
    std::vector<std::uint64_t> ids;
  };

  // slot_log.cc: inputs, the decided prefix.
  void on(Env& env, NodeId from, const InSlot& m, Out& out);
  void on(Env& env, NodeId from, const Heartbeat& m, Out& out);
  void on(Env& env, NodeId from, const CatchUp& m, Out& out);
  void on(Env& env, NodeId from, const Values& m, Out& out);
  void on(Env& env, NodeId from, const ReadRequest& m, Out& out);
  void on(Env& env, NodeId from, const ReadAnswer& m, Out& out);
  void on(Env& env, NodeId from, const TakeOver& m, Out& out);
  void ask(Env& env, const replicated_log::Propose& r, Out& out);
  void ask(Env& env, const replicated_log::ReadBarrier& r, Out& out);
  void ask(Env& env, const replicated_log::Reconfigure& r, Out& out);
  void ask(Env& env, const replicated_log::TransferLeadership& r, Out& out);
  void ask(Env& env, const replicated_log::SnapshotAvailable& r, Out& out);
  void ask(Env& env, const replicated_log::SnapshotReceived& r, Out& out);
  void ask(Env& env, const replicated_log::SnapshotDelivered& r, Out& out);

  void advance(Env& env, Out& out);
  bool open(Env& env, Index slot, Out& out);
  void take(Index slot, const Value& value, Out& out);
  void collect(Out& out);
  void enter(Index slot, const Value& value, Out& out);
  bool change(Index slot, const Value& value);
  void flush(Out& out);

  // proposing.cc: this node's own proposals and reads.
  void pump(Env& env, Out& out);
  void settle(Index slot, const Value& value, Out& out);
  void won(Own own, Index slot, Out& out);
  void displaced(Own own, Out& out);
  void adjust(Own& change, Index slot, Out& out);
  void give_up(Own& change, Out& out);
  void supersede(const AskedChange& asked, Out& out);
  void refuse(std::uint64_t request, replicated_log::Refusal reason, Out& out);
  void refuse_queue(Out& out);
  void keep_reads(Own& own);
  [[nodiscard]] bool rides(const Reader& reader) const;
  void queue(Own own);
  void route_reads(Out& out);
  void refuse_reads(Out& out);
  [[nodiscard]] bool leads() const { return omega_.leader() == self_; }
  [[nodiscard]] Index fill_upto() const;

  // following.cc: leadership, catching up, membership, snapshots.
  void tick(Env& env, Out& out);
  void forgive_standing_still(Instant now);
  void evaluate(Env& env, Out& out);
  void heartbeat(Env& env, Out& out);
  [[nodiscard]] Heartbeat own_heartbeat(Env& env) const;
  void adopt(const Values& m, Out& out);
  void tell_membership(Out& out);
  void to_learners(const std::vector<Decided>& decided, Out& out);
  [[nodiscard]] std::vector<NodeId> audience() const;
  [[nodiscard]] std::vector<NodeId> voters() const;
  [[nodiscard]] bool ready() const;
  void trim_log(Index snapshot);
  [[nodiscard]] Index log_begin() const { return next_ - log_.size(); }
  [[nodiscard]] Index end_of_window() const { return next_ + options_.window; }
  [[nodiscard]] Index decided_prefix() const { return next_.prev(); }
  [[nodiscard]] Value value_at(Index slot) const;
  [[nodiscard]] PutRecord configurations_record(Index upto) const;
  void halt(const std::string& reason, Out& out);

  replicated_log::Settings settings_;
  Options options_;
  NodeId self_;
  Instances instances_;
  Configurations configurations_;
  Instant tick_due_;
  Omega omega_;
  std::optional<std::string> damage_;

  std::deque<Decided> log_;  // kept in memory: [log_begin, next_)
  std::optional<SnapshotMeta> snapshot_;
  Index next_{1};                         // the first slot not known to be decided
  std::map<Index, Value> decided_;        // behind a gap
  std::vector<Decided> fresh_;            // decided in this step, to be persisted and told
  std::vector<Write> erasures_;           // with them
  Ticket restored_;                       // what follows a Restore must not overtake it
  bool awaiting_configurations_ = false;  // nobody told yet who takes part behind the prefix
  std::optional<Configuration> change_;   // decided, not yet in force
  std::map<NodeId, bool> sending_snapshot_;

  std::uint64_t incarnation_ = 1;
  Ticket incarnation_ticket_;
  Ticket durable_;
  std::uint64_t sequence_ = 0;
  std::deque<Own> queue_;  // ascending by sequence
  std::size_t queued_bytes_ = 0;
  std::map<Index, Own> assigned_;  // proposed in this slot, outcome unknown
  // Changes that won this slot, which may be void: what is decided in front of it will tell.
  std::map<Index, AskedChange> changes_;
  std::optional<Transfer> transfer_;

  std::vector<Reader> readers_;              // as leader: to ride on the next proposal
  std::vector<std::uint64_t> local_reads_;   // of this node's host, not yet on their way
  std::optional<ForwardedReads> forwarded_;  // at the leader
  std::size_t reads_unanswered_ = 0;         // of this node's host, wherever they stand
  std::uint64_t read_number_ = 0;

  NodeId leader_told_;
  Instant leaderless_since_;
};

// Behind encoded bytes, for drivers.
[[nodiscard]] std::unique_ptr<replicated_log::Protocol> make_slot_log(
    const replicated_log::Settings& settings, Recovered recovered, AgreementFactory factory,
    Options options = {});
[[nodiscard]] std::vector<Write> begin_with(const SnapshotMeta& state);

}  // namespace quorate::slots
