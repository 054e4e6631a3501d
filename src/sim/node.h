// One simulated node: a clock, a disk, a log, a state, and while it is up a process with a replica in it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/membership.h"
#include "replica/replica.h"
#include "sim/clock.h"
#include "sim/disk_faults.h"
#include "sim/durable_shadow.h"
#include "sim/stage.h"
#include "storage/memory_disk.h"
#include "storage/memory_engine.h"
#include "storage/wal.h"

namespace quorate::sim {

class Node final : public replica::Host {
 public:
  Node(Stage& stage, std::uint32_t slot, NodeId id, Membership initial);
  ~Node() override;

  // Starts a process; false if the log or the state refuse, for refusal(). Finding less than was durable
  // fails the run, unless the disk did what no log can see (lies.h): then it is a silent_loss().
  bool start();
  // The process dies; `survival` is of what the disk was not told to sync.
  void stop(storage::MemoryDisk::Survival survival, const char* reason);

  void handle(Event&& event);  // an event of this node, already due
  void pause() { paused_ = true; }
  void resume();
  void set_speed(std::int64_t ppm);
  void jump(Duration by);

  [[nodiscard]] bool up() const { return replica_ != nullptr; }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] NodeId id() const { return id_; }
  [[nodiscard]] std::uint32_t slot() const { return slot_; }
  [[nodiscard]] replica::Replica& replica() { return *replica_; }
  [[nodiscard]] Env env() { return {clock_.at(stage_->now), rng_}; }
  [[nodiscard]] storage::MemoryDisk& disk() { return disk_; }
  [[nodiscard]] DiskFaults& disk_faults() { return disk_faults_; }
  // Why the process must stop, once it said so.
  [[nodiscard]] const std::optional<std::string>& halted() const { return halted_; }
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  [[nodiscard]] int refused_again() { return ++refusals_; }
  [[nodiscard]] bool silent_loss() const { return silent_loss_; }
  // Whether anything that its disk did may keep it from starting.
  [[nodiscard]] bool may_refuse() {
    Lies& lies = disk_faults_.lies();
    return disk_faults_.struck() || lies.damaged() || lies.misread_too_often();
  }
  [[nodiscard]] std::uint64_t process() const { return process_; }  // differs after each start
  [[nodiscard]] NodeId leader() const { return leader_; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  void set_sync_time(Duration mean) { sync_time_ = mean; }
  void set_newer(bool newer) { newer_ = newer; }       // which release the next process runs
  void lose_state() { (void)home_.set_aside_live(); }  // of a node that is down; in memory nothing can fail
  void stall(bool on) { stalled_ = on; }               // the disk does nothing, and does not fail
  void operate(std::uint64_t operation);               // a client's operation arrives
  void gather();                                       // commands were handed in: pump soon
  void settle();                                       // after anything was asked of the replica
  void must_know_as_removed(const std::vector<NodeId>& former);  // at the end: all is applied

  void send(NodeId to, Bytes frame) override;
  void persist(Ticket ticket, std::vector<Write> writes) override;
  void set_timer(TimerId id, Instant at) override;
  void cancel_timer(TimerId id) override;
  void flush_state(Index upto) override;
  void await_flush() override;
  void halt(const std::string& reason) override;
  void warn(const std::string& what) override;
  void leader_changed(NodeId leader, Epoch epoch) override;
  void membership_changed(const Membership& membership) override;

 private:
  struct Timer {
    TimerId id;
    std::uint64_t stamp = 0;  // of its latest setting; 0: not set
    Instant at;
  };

  [[nodiscard]] storage::WalConfig log_config() const;
  std::optional<storage::Wal::Opened> open_log();
  bool begin_log_anew(const Membership* members);
  bool accept(const Recovered& recovered, bool torn);
  void lost_silently(bool excused);
  void took_place();
  void dispatch(Event&& event);
  void judge_removed();
  void fire(TimerId id, std::uint64_t stamp);
  void schedule(EventKind kind, Duration mean, std::uint64_t number);
  void begin_sync();
  void write_log(Duration rest);
  void log_durable(Ticket upto);
  void flush_engine(Index upto);
  void rearm_timers();
  void arm(Timer& timer);
  [[nodiscard]] std::uint32_t slot_of(NodeId id) const { return static_cast<std::uint32_t>(id.value - 1); }
  void transmit(std::uint32_t target, Bytes frame, ReadJudge::Stamp stamp);
  void trace_step(const Event& event);
  void trace_frame(Trace::Line& line, const Bytes& frame);

  Stage* stage_;
  std::uint32_t slot_;
  NodeId id_;
  Membership initial_;
  Rng rng_;
  Clock clock_;
  storage::MemoryDisk disk_;
  DiskFaults disk_faults_;
  DurableShadow shadow_;
  storage::MemoryHome home_;
  std::uint64_t incarnation_ = 0;
  struct Anew {  // a log that is about to take a damaged one's place, or has
    Recovered contents;
    std::map<RecordKey, Bytes> saved;  // the records of the damaged one
    std::uint64_t lies = 0;            // Lies::mark() when it was begun
  };
  std::optional<Anew> anew_;
  bool newer_ = false;
  Duration sync_time_;

  // Of the process.
  std::uint64_t process_ = 0;  // stamp of its events
  std::unique_ptr<storage::Wal> log_;
  std::unique_ptr<replica::Replica> replica_;
  std::vector<Timer> timers_;
  Ticket submitted_;
  std::size_t unsynced_groups_ = 0;
  std::size_t syncing_groups_ = 0;
  bool syncing_ = false;
  storage::Engine::FlushJob flush_due_;
  bool pump_due_ = false;
  bool stalled_ = false;
  std::shared_ptr<const storage::Reader> pinned_;  // a client that reads an old state, through a restore too
  bool paused_ = false;
  bool runs_newer_ = false;
  std::uint64_t frames_ = 0;  // sent while it is newer
  std::vector<Event> held_;
  std::optional<std::string> halted_;
  Index seen_applied_;
  struct Grounds {  // on which it takes others for removed
    Index applied;
    Index membership;
    std::size_t departed = 0;
    bool rejoining = false;
    bool operator==(const Grounds&) const = default;
  };
  Grounds grounds_;  // when that was last judged
  NodeId leader_;
  Epoch epoch_;

  std::string refusal_;
  int refusals_ = 0;
  bool silent_loss_ = false;
};

}  // namespace quorate::sim
