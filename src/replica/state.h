// The applied state of a replica: engine, model, executed commands, and how far it is. A batch of committed
// entries changes the engine together with the applied index, and no flush comes in between, so that a
// restart never applies an entry twice nor skips one.
//
// Entries are applied in steps: apply() ends when its pace is spent, be it within a command, and behind an
// entry that it found half done. Between two steps the state is settled unless a command is half done: then
// the engine holds changes of an entry that is not applied, and must be neither flushed nor handed on, nor
// has the model's digest a meaning.
#pragma once

#include <algorithm>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/describe.hpp>

#include "core/entry.h"
#include "models/model.h"
#include "replica/messages.h"
#include "replica/sessions.h"
#include "storage/engine.h"
#include "storage/transaction.h"

namespace quorate::replica {

struct AppliedPoint {
  Index index;
  Epoch epoch;
  Membership membership;
};
BOOST_DESCRIBE_STRUCT(AppliedPoint, (), (index, epoch, membership))

// Former members, in the order in which they left. Ids are never used again.
struct Departed {
  std::vector<NodeId> nodes;
};
BOOST_DESCRIBE_STRUCT(Departed, (), (nodes))

class State {
 public:
  struct Executed {  // a command of this node's own incarnation, and what the model said
    std::uint64_t number = 0;
    Bytes result;
  };

  State(storage::EngineHome& home, std::unique_ptr<storage::Engine> live,
        std::unique_ptr<models::Model> model);

  // Takes committed entries in, to be applied in turn; those at or below the applied index were applied
  // before a restart. A gap is an error: nothing is taken.
  [[nodiscard]] std::expected<void, std::string> take(std::vector<Entry> entries);
  // Applies of them what the pace allows, at least something. The commands of `incarnation` of `self` that
  // are through.
  std::vector<Executed> apply(models::Pace& pace, NodeId self, std::uint64_t incarnation);
  // Both, for all of `entries`.
  [[nodiscard]] std::expected<std::vector<Executed>, std::string> apply(std::vector<Entry> entries,
                                                                        NodeId self,
                                                                        std::uint64_t incarnation);
  [[nodiscard]] bool settled() const { return !half_done_; }
  [[nodiscard]] bool idle() const { return waiting_.empty(); }
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }

  // The digest of the state right behind the entry at `index`, which is not applied yet, for take_sample().
  void sample_at(Index index) { sample_at_ = index; }
  [[nodiscard]] std::optional<std::pair<Index, Bytes>> take_sample() { return std::exchange(sample_, {}); }

  // The staged state replaces the live one.
  [[nodiscard]] std::expected<void, std::string> restore();

  // The membership in force at the applied index, told from outside: the initial one stands in no entry.
  void assume(const Membership& membership);

  [[nodiscard]] const AppliedPoint& applied() const { return applied_; }
  // Whether the log, as far as it is applied, removed this member.
  [[nodiscard]] bool removed(NodeId node) const {
    return std::ranges::find(departed_.nodes, node) != departed_.nodes.end();
  }
  [[nodiscard]] const std::vector<NodeId>& departed() const { return departed_.nodes; }
  [[nodiscard]] SnapshotMeta meta() const;
  [[nodiscard]] const Sessions& sessions() const { return sessions_; }
  [[nodiscard]] models::Model& model() { return *model_; }
  [[nodiscard]] storage::Engine& engine() { return *live_; }
  [[nodiscard]] storage::EngineHome& home() { return *home_; }

  static AppliedPoint read_applied(const storage::Reader& engine);
  static void write_applied(storage::Transaction& txn, const AppliedPoint& applied);

 private:
  // The entries that are applied together, from one state that a crash may leave to the next.
  struct Progress {
    std::vector<Executed> executed;
    std::vector<NodeId> touched;  // their sessions
    CommandBatch commands;        // of the entry at hand
    std::size_t next = 0;         // the command at hand
    bool begun = false;           // with the entry at hand
  };

  void load();
  void apply_membership(Membership next);
  bool apply_front(models::Pace& pace, NodeId self, std::uint64_t incarnation);
  bool apply_commands(models::Pace& pace, NodeId self, std::uint64_t incarnation);
  std::optional<Bytes> execute(const Command& command, models::Pace& pace);
  void drop_front();
  void settle();

  storage::EngineHome* home_;
  std::unique_ptr<storage::Engine> live_;
  std::unique_ptr<models::Model> model_;
  AppliedPoint applied_;
  AppliedPoint reached_;          // at the end of the batch under way it is what is applied
  bool members_changed_ = false;  // in that batch
  std::deque<Entry> waiting_;
  std::size_t waiting_bytes_ = 0;
  Progress progress_;
  std::optional<storage::Transaction> txn_;
  models::Pace pace_;  // what the command at hand is told
  bool half_done_ = false;
  Departed departed_;
  Sessions sessions_;
  Index sample_at_;
  std::optional<std::pair<Index, Bytes>> sample_;
};

// Marks a staged state as whole. Never streamed, written last.
inline constexpr std::string_view complete_key = "complete";

}  // namespace quorate::replica
