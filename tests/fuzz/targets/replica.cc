// Whole frames of peers to one replica: any bytes, forged frames, forged messages of the protocol in them,
// while clients ask for things, the disk is late, the state is flushed, and the process crashes. The replica
// keeps its invariants and its order towards the log, gives every operation exactly one end, and starts again
// from what it made durable; or it stops and says why.
#include "replica/replica.h"

#include <deque>
#include <map>
#include <memory>
#include <set>

#include "choices.h"
#include "core/codec.h"
#include "forge.h"
#include "fuzz.h"
#include "generate.h"
#include "models/etcd/etcd_model.h"
#include "one_node.h"
#include "registry/registry.h"
#include "replica/messages.h"
#include "replog/raft/messages.h"
#include "storage/memory_engine.h"

namespace quorate::fuzz {
namespace {

using namespace replica;

class Machine final : public Host {
 public:
  Machine(const registry::Descriptor& protocol, Choices& choices)
      : protocol_(&protocol), choices_(&choices), rng_(choices.byte()) {
    settings_.self = self;
    settings_.initial = three_voters();
    settings_.keep_entries = choices.below(4);
    config_.self = self;
    config_.flush_after_entries = 1 + choices.below(4);
    config_.max_pending = 1 + choices.below(16);
    config_.max_batch_bytes = 64;
    config_.snapshot_chunk_bytes = 64;
    start();
  }
  ~Machine() override {
    if (replica_) replica_->close();
    replica_.reset();
    require(asked_ == ended_, "an operation that never ended");
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void run() {
    for (int steps = 0; steps < 200 && !choices_->empty() && !halted_; ++steps) {
      act();
      if (halted_) return;
      Env now = env();
      replica_->pump(now);
      if (halted_) return;
      const auto broken = replica_->check_invariants();
      require(!broken, broken.value_or(""));
      const auto status = replica_->status();
      require(status.applied <= status.committed, "applied what is not committed");
    }
  }

 private:
  static constexpr NodeId self{1};

  Env env() { return {now_, rng_}; }

  void start() {
    unsynced_.clear();
    timers_.clear();
    flush_due_ = nullptr;
    last_ticket_ = Ticket();
    auto live = Replica::recover_state(home_, disk_);
    require(live.has_value(), live ? "" : "does not start again: " + live.error().what);
    ++config_.incarnation;
    replica_ = std::make_unique<Replica>(config_, *this, protocol_->make(settings_, disk_), home_,
                                         std::move(*live), models::etcd::EtcdModel::create());
    Env now = env();
    replica_->start(now);
  }
  void crash() {
    replica_.reset();
    home_.crash();
    start();
  }

  void act() {
    Choices& choices = *choices_;
    Env now = env();
    switch (choices.below(16)) {
      case 0: fire(); break;
      case 1:
      case 2: sync(); break;
      case 3: flush(); break;
      case 4: propose(); break;
      case 5:
        ++asked_;
        replica_->read(now, replicated_log::ReadMode(choices.below(2)), once<Index>());
        break;
      case 6: change(); break;
      case 7:
        if (choices.below(4) == 0) return crash();
        replica_->checkpoint(now);
        break;
      case 8: replica_->receive(now, NodeId(choices.below(5)), Bytes::copy(choices.text(40))); break;
      case 9:
      case 10:
      case 11: receive(generate<Frame>(choices)); break;
      default: receive(ProtocolFrame{message()});
    }
  }
  void receive(const Frame& frame) {
    Env now = env();
    replica_->receive(now, NodeId(choices_->below(5)), codec::encode(frame));
  }
  Bytes message() {
    return protocol_->family == registry::Family::agreement
               ? codec::encode(forge_slots(*choices_))
               : codec::encode(generate<raft::Message>(*choices_));
  }
  void propose() {
    ++asked_;
    Env now = env();
    std::string put("\x0a\x01k\x12\x01v", 6);
    put[2] = static_cast<char>('a' + choices_->below(4));
    replica_->propose(now,
                      choices_->flip() ? models::etcd::command(models::etcd::Op::put, put)
                                       : Bytes::copy(choices_->text(20)),
                      once<Bytes>());
  }
  void change() {
    ++asked_;
    Env now = env();
    if (choices_->flip()) return replica_->transfer(now, NodeId(choices_->below(5)), once<Bytes>());
    replica_->reconfigure(now, generate<std::vector<Member>>(*choices_), once<Bytes>());
  }
  template <class T>
  std::move_only_function<void(Outcome<T>)> once() {
    return [this, done = false](const Outcome<T>&) mutable {
      require(!done, "an operation that ended twice");
      done = true;
      ++ended_;
    };
  }
  void fire() {
    now_ += std::chrono::milliseconds(choices_->below(400));
    if (timers_.empty()) return;
    auto timer = timers_.begin();
    std::advance(timer, choices_->below(timers_.size()));
    const TimerId id = *timer;
    timers_.erase(timer);
    Env now = env();
    replica_->timer(now, id);
  }
  void sync() {
    if (unsynced_.empty()) return;
    const auto [ticket, writes] = std::move(unsynced_.front());
    unsynced_.pop_front();
    for (const auto& write : writes) apply_write(disk_, write);
    Env now = env();
    replica_->persisted(now, ticket);
  }
  void flush() {
    auto job = std::exchange(flush_due_, nullptr);
    if (!job) return;
    require(job().has_value(), "a flush of memory failed");
    Env now = env();
    replica_->flushed(now, flush_upto_);
  }

  // Host.
  void send(NodeId to, Bytes frame) override {
    require(to != self && !to.none(), "a frame to " + to_string(to));
    require(codec::decode<Frame>(frame).has_value(), "a frame that nobody can read");
  }
  void persist(Ticket ticket, std::vector<Write> writes) override {
    require(ticket == last_ticket_.next(), "tickets out of order");
    last_ticket_ = ticket;
    unsynced_.emplace_back(ticket, std::move(writes));
  }
  void set_timer(TimerId id, Instant) override { timers_.insert(id); }
  void cancel_timer(TimerId id) override { timers_.erase(id); }
  void flush_state(Index upto) override {
    require(!flush_due_, "a flush while another is under way");
    flush_due_ = replica_->engine().begin_flush();
    flush_upto_ = upto;
  }
  void await_flush() override { flush_due_ = nullptr; }
  void halt(const std::string& reason) override {
    require(!reason.empty(), "a stop without a reason");
    halted_ = true;
  }
  void warn(const std::string& what) override { require(!what.empty(), "a warning without words"); }
  void leader_changed(NodeId, Epoch) override {}
  void membership_changed(const Membership&) override {}

  const registry::Descriptor* protocol_;
  Choices* choices_;
  Rng rng_;
  replicated_log::Settings settings_;
  Config config_;
  Instant now_{std::chrono::hours(1)};
  Recovered disk_;
  storage::MemoryHome home_;
  std::unique_ptr<Replica> replica_;
  std::deque<std::pair<Ticket, std::vector<Write>>> unsynced_;
  std::set<TimerId> timers_;
  storage::Engine::FlushJob flush_due_;
  Index flush_upto_;
  Ticket last_ticket_;
  bool halted_ = false;
  int asked_ = 0;
  int ended_ = 0;
};

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(replica) {
  using namespace quorate;
  fuzz::Choices choices(input);
  const auto protocols = registry::all();
  const auto& protocol = protocols[choices.below(protocols.size())];
  if (protocol.faults != registry::FaultModel::crash) return;
  fuzz::Machine(protocol, choices).run();
}
