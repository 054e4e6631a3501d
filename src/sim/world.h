// One run: nodes, network, clients and faults on one queue of events. A safety phase with faults, then all is
// healed, every member must serve again, and the books are checked.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/ambush.h"
#include "sim/clients.h"
#include "sim/companion.h"
#include "sim/lasting_partition.h"
#include "sim/node.h"
#include "sim/options.h"
#include "sim/skeptic.h"
#include "sim/stage.h"

namespace quorate::sim {

class World final : private Powers {
 public:
  World(const Options& options, const WorkloadModel& model, std::uint64_t seed, Trace* trace);
  ~World() override;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Result run();

 private:
  enum class Phase : std::uint8_t { faults, recovery, trial, quiet, over };

  // Setting up.
  void tune();
  void found_cluster();
  void plan();

  // The main loop.
  void step();
  void dispatch(Event&& event);
  void look_after(Node& node);
  void arm_crash(std::uint64_t operation);
  [[nodiscard]] Node& crash_victim() { return *nodes_[options_.crash ? options_.crash->node : 0]; }
  void begin_recovery();
  void enter(Phase phase, const char* name);
  void check_progress();
  [[nodiscard]] Duration recovery_bound() const;
  void judge_leadership();
  void after_recovery();
  void rest();
  void final_checks();

  // Damage of a majority: world_majority.cc.
  void draw_victims(std::uint32_t count);
  [[nodiscard]] bool whole_quorum() const;
  void judge_waiting();
  void all_wait();
  void stands_still(const char* property, std::string what);

  // Trials: world_trial.cc.
  struct Trial {
    enum class Kind : std::uint8_t { rejoin, stall, lonely, hand_over, behind, change, parted } kind{};
    enum class Stage : std::uint8_t { calm, during, after } stage{};
    Moment since{};  // or until when
    Moment begun{};
    std::uint64_t leaderships = 0;
    Node* node = nullptr;
    bool asked = false;  // for a change of members, or of the leader
    unsigned attempts = 0;
    bool made = false;
    std::uint64_t restores = 0;  // of the node, when it was back
  };
  Trial::Kind draw_trial();
  void begin_trial(Trial::Kind kind);
  void continue_trial();
  bool start_trial();
  void judge_trial();
  void continue_hand_over();
  void start_changes();
  bool start_partition(std::vector<Node*> voters, Node& leader);
  void continue_changes();
  void cut_off(const Node& node, bool cut);

  // Faults.
  void begin_fault(std::uint32_t number);
  void end_fault(std::uint32_t number);
  [[nodiscard]] Rng draws_of(std::uint32_t number) const;
  void insist(std::uint32_t number);
  void restart_all(std::uint32_t number, Rng& rng);
  void deaths_end(const Node& started);
  void pauses_end(const Node& stopped);
  void network_conditions(std::uint32_t number, bool on);
  void cut_network(std::uint32_t number, Rng& rng);
  bool draw_follower(Rng& rng, std::uint32_t& slot) const;
  void cut_links(std::uint32_t number, bool cut);
  void flap(std::uint32_t number);
  void go_on(const Event& event);  // of a fault
  void replace(std::uint32_t number);
  void join(std::uint32_t number);
  void ask_for(std::vector<Member> members);
  void cut_snapshots(std::uint32_t from, std::uint32_t to);
  void change_release(std::uint32_t number, bool newer, Rng& rng);
  void node_fault(std::uint32_t number, Rng& rng);
  void disk_fault(std::uint32_t number, Node& node, Duration down, Rng& rng);
  static void power_fails_next(Node& node, DiskFaults::Armed& fault, Rng& rng);
  void damage_at_rest(std::uint32_t number, Node& node, Duration down, Rng& rng);
  void stop_node(Node& node, storage::MemoryDisk::Survival survival, const char* reason, Duration down);
  void start_node(Node& node);

  // Operators.
  void change_membership(std::uint32_t number, Rng& rng);
  void transfer_leadership(std::uint32_t number, Rng& rng);
  std::optional<std::vector<Member>> draw_members(Rng& rng);
  std::optional<std::vector<Member>> draw_change(Rng& rng);
  std::optional<std::vector<Member>> draw_move(Rng& rng, std::vector<Member> members);
  [[nodiscard]] bool bearable(const std::vector<Member>& members) const;
  Node* add_node();

  // Powers.
  std::uint32_t node_count() override { return static_cast<std::uint32_t>(nodes_.size()); }
  Node& node(std::uint32_t slot) override { return *nodes_[slot]; }
  void stop(Node& node, storage::MemoryDisk::Survival survival, const char* reason, Duration down) override;
  void change_members(Node& at, Rng& rng) override;
  void ask_again(Node& at) override;
  void hand_over(Node& leader, Rng& rng) override;
  void burst(Node& at, unsigned commands) override;
  void took_effect(std::uint32_t number) override;
  void took_down(std::uint32_t number, Node& node) override;

  Node* any_node(Rng& rng, bool only_up);
  Node* any_to_ask(Rng& rng);
  Node* any_victim(Rng& rng);
  static constexpr std::uint32_t nobody = UINT32_MAX;  // an event of no node
  [[nodiscard]] bool gone(const Node& node) const { return (written_off_ >> node.slot() & 1U) != 0; }
  [[nodiscard]] bool is_victim(const Node& node) const {
    return node.slot() < 32 && (victims_ >> node.slot() & 1U) != 0;
  }
  [[nodiscard]] std::vector<Node*> members();
  [[nodiscard]] const Membership& membership() const;

  Options options_;
  Stage stage_;
  std::uint64_t seed_;
  Ambushes ambushes_;
  Skeptic skeptic_;
  Rng rng_;
  Membership initial_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<Companion> companion_;
  std::vector<Fault> plan_;
  struct Active {  // what a begun fault must undo
    std::vector<std::pair<std::uint32_t, std::uint32_t>> links;
    bool cut = false;
    bool begun = false;
    Node* node = nullptr;
    bool all_nodes = false;
    Node* fresh = nullptr;  // the replacement
    std::uint32_t tries = 0;
  };
  std::vector<Active> active_;
  std::uint32_t victims_ = 0;                  // bit set of the slots whose disks may be damaged
  std::uint32_t written_off_ = 0;              // of nodes that will not come back
  std::optional<std::vector<Member>> wanted_;  // the members that were last asked for
  std::vector<std::uint32_t> snapshot_cuts_;   // faults that wait for a snapshot's chunk
  Moment length_{};
  Phase phase_ = Phase::faults;
  Trial trial_;
  std::optional<LastingPartition> partition_;
  Moment healed_at_{};
  Moment committed_at_{};  // the first commit after healing
  Index committed_before_;
  Moment recovered_at_{};
  Moment quiet_since_{};
  struct Waiting {  // while no quorum is whole
    Moment begun{};
    Moment since{};  // when something was last committed or answered
    Index committed;
    std::uint64_t answered = 0;
  };
  std::optional<Waiting> waiting_;
  bool waits_ = false;  // and so it ended
  std::uint64_t refused_ = 0;
  std::uint64_t events_ = 0;
  std::uint32_t cuts_ = 0;    // of Options::crash
  std::uint32_t leader_ = 0;  // at the end of the faults
  std::optional<std::uint64_t> recovery_operations_;
};

}  // namespace quorate::sim
