// The applied state of a replica: engine, model, executed commands, and how far it is. One committed batch
// becomes one atomic engine write that carries the applied index with it, so that a restart never applies an
// entry twice nor skips one.
#pragma once

#include <algorithm>
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

  // Applies what is new of `entries`; those at or below the applied index were applied before a restart.
  // A gap is an error: nothing is applied.
  [[nodiscard]] std::expected<std::vector<Executed>, std::string> apply(const std::vector<Entry>& entries,
                                                                        NodeId self,
                                                                        std::uint64_t incarnation);

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
  [[nodiscard]] SnapshotMeta meta() const;
  [[nodiscard]] const Sessions& sessions() const { return sessions_; }
  [[nodiscard]] models::Model& model() { return *model_; }
  [[nodiscard]] storage::Engine& engine() { return *live_; }
  [[nodiscard]] storage::EngineHome& home() { return *home_; }

  static AppliedPoint read_applied(const storage::Reader& engine);
  static void write_applied(storage::Transaction& txn, const AppliedPoint& applied);

 private:
  void load();
  void apply_membership(Membership next, storage::Transaction& txn);
  void apply_commands(const Entry& entry, storage::Transaction& txn, NodeId self, std::uint64_t incarnation,
                      std::vector<Executed>& executed, std::vector<NodeId>& touched);

  storage::EngineHome* home_;
  std::unique_ptr<storage::Engine> live_;
  std::unique_ptr<models::Model> model_;
  AppliedPoint applied_;
  Departed departed_;
  Sessions sessions_;
  Index sample_at_;
  std::optional<std::pair<Index, Bytes>> sample_;
};

// Marks a staged state as whole. Never streamed, written last.
inline constexpr std::string_view complete_key = "complete";

}  // namespace quorate::replica
