// Faults that wait for the moment that reveals most: right after a leader was elected, right after a message
// of one kind was sent, right when a node lost its leader. Left to chance those moments, some of which last
// less than a millisecond, are hardly ever met.
//
//   leader_hunt       each new leader sends so many messages and is then cut off, stopped, or put to sleep;
//   or
//                     it is cut off with what it takes on, and its predecessor comes back at that moment
//   hold_back         messages of one kind wait until leadership changes, or copies of several kinds do; or
//                     until the very node they go to leads again
//   crash_after_send  a node loses power in the very step in which it sends a message of one kind
//   usurper           one node stops hearing the leader; when it noticed, the leader is cut off from all
//   sleeping_leader   a leader stands still, unheard, while others go on; it wakes before it hears of them
//   late_bridge       a node misses what happens for a while, then is the only one the others can talk to
//   deaf_leader       a leader hands over, or its followers start again, and it hears of nothing from then
//   on;
//                     an operator may ask its successor for a change of members, then it for the same, and
//                     the others start again before it hears of them
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "sim/faults.h"
#include "sim/frame_kind.h"
#include "sim/stage.h"
#include "storage/memory_disk.h"

namespace quorate::sim {

class Node;

// What an ambush may do to a run.
class Powers {
 public:
  Powers() = default;
  Powers(const Powers&) = delete;
  Powers& operator=(const Powers&) = delete;
  virtual ~Powers() = default;
  virtual std::uint32_t node_count() = 0;
  virtual Node& node(std::uint32_t slot) = 0;
  virtual void stop(Node& node, storage::MemoryDisk::Survival survival, const char* reason,
                    Duration down) = 0;
  virtual void change_members(Node& at, Rng& rng) = 0;
  virtual void ask_again(Node& at) = 0;  // for the change that was asked for last
  virtual void hand_over(Node& leader, Rng& rng) = 0;
  virtual void burst(Node& at, unsigned commands) = 0;  // of clients, all at once
  virtual void took_effect(std::uint32_t number) = 0;
  virtual void took_down(std::uint32_t number, Node& node) = 0;  // until it starts again
};

class Ambushes {
 public:
  Ambushes(Stage& stage, Powers& powers) : stage_(&stage), powers_(&powers) {}

  void begin(std::uint32_t number, FaultKind kind, Rng rng);
  void end(std::uint32_t number);
  void over();                     // everything is healed: nothing more happens
  void due(std::uint64_t number);  // an event of kind `ambush`

  // Told by the nodes. True if the frame is held back.
  [[nodiscard]] bool sends(const Node& from, std::uint32_t to, const Bytes& frame, std::uint64_t stamp);
  void sees_leader(const Node& node);

 private:
  using Links = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  struct Hunt {
    std::uint32_t number;
    Rng rng;
    std::uint64_t patience;  // messages that a new leader sends at most
    bool at_once;            // every new leader is asked to change members, before it does anything else
    bool relay;              // whom it cut off comes back when it cuts off the next
    std::uint32_t away = 0;  // that one
    Links cut{};             // its links
    std::uint64_t turn = 0;
  };
  struct Prey {
    std::uint32_t number;
    std::uint32_t slot;
    std::uint64_t left;
  };
  struct Hold {
    std::uint32_t number;
    Rng rng;
    std::uint64_t kinds;    // a bit each
    std::uint64_t senders;  // a bit each
    bool copies;            // the frame itself goes on its way
    bool again;             // what goes to a node waits until it leads once more
    std::vector<Event> held;
    std::array<std::uint8_t, frame_kind_count> count{};  // of held, by kind
  };
  struct Tripwire {
    std::uint32_t number;
    Rng rng;
    FrameKind kind;
    unsigned left;
  };
  struct Usurper {
    std::uint32_t number;
    Rng rng;
    std::uint32_t leader;
    std::uint32_t usurper;
  };
  struct Deaf {  // a leader that hears nothing, and may have a successor
    std::uint32_t slot;
    Rng rng;
  };
  void later(Duration after, std::function<void()> act);
  void chase(Hunt& hunt, const Node& leader);
  void strike(std::uint32_t number, std::uint32_t slot, std::uint64_t seed);
  void take_turns(Hunt& hunt, std::uint32_t slot, Rng rng);
  void come_back(Hunt& hunt);
  void burst(std::uint32_t slot, Rng& rng);
  void sleep(std::uint32_t slot, Rng rng);
  void hold_back(std::uint32_t number, Rng rng);
  void bridge(Rng rng);
  void deafen(std::uint32_t slot, Rng rng);
  void succeeded(Deaf deaf, std::uint32_t successor);
  void usurp(std::uint32_t number, Rng rng);
  void usurped(Usurper usurper);
  void release(Hold& hold, bool spread);
  void release_to(Hold& hold, std::uint32_t slot);
  void cut_for(Links links, Duration lasts);
  enum class Side : std::uint8_t { both, incoming, outgoing };
  [[nodiscard]] Links links_of(std::uint32_t slot, Side side, std::uint64_t spared);
  [[nodiscard]] Node* leader();
  [[nodiscard]] FrameKind seen_kind(Rng& rng) const;

  Stage* stage_;
  Powers* powers_;
  std::map<std::uint64_t, std::function<void()>> acts_;
  std::uint64_t next_act_ = 0;
  std::uint64_t kinds_seen_ = 0;  // a bit each
  std::vector<Hunt> hunts_;
  std::vector<Prey> prey_;
  std::vector<Hold> holds_;
  std::vector<Tripwire> tripwires_;
  std::vector<Usurper> usurpers_;
  std::vector<Deaf> deaf_;
  bool watching_frames_ = false;
};

}  // namespace quorate::sim
