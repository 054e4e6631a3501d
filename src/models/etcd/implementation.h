// The model as it is built: commands in their steps (etcd_model.cc, commands.cc), and reads (queries.cc).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <google/protobuf/arena.h>

#include "models/etcd/alarms.h"
#include "models/etcd/etcd_model.h"
#include "models/etcd/leases.h"
#include "models/etcd/nodes.h"
#include "models/etcd/read.h"
#include "models/etcd/store.h"
#include "models/etcd/watch_hub.h"
#include "models/etcd/write.h"
#include "models/stepwise.h"

namespace quorate::models::etcd {

template <class Message>
Message* parse(google::protobuf::Arena& arena, std::string_view request) {
  auto* message = google::protobuf::Arena::CreateMessage<Message>(&arena);
  return message->ParseFromArray(request.data(), static_cast<int>(request.size())) ? message : nullptr;
}

class Implementation final : public EtcdModel {
 public:
  explicit Implementation(std::size_t most_answer_bytes) : most_answer_bytes_(most_answer_bytes) {}

  void open(storage::Engine& engine) override;
  Bytes apply(const Bytes& command, storage::Transaction& txn) override;
  std::optional<Bytes> begin(const Bytes& command, storage::Transaction& txn, Pace& pace) override;
  std::optional<Bytes> go_on() override { return steps(); }
  void settle(storage::Transaction& txn) override;
  void forget_nodes(storage::Transaction& txn) override;
  void committed(Index) override;
  std::optional<Bytes> periodic(const ClockReading& now) override;
  std::optional<Bytes> diverged(NodeId member) override;
  // Everything the state holds is in `state_`, be it as a hash.
  [[nodiscard]] std::uint32_t digest_format() const override { return 2; }  // 1: sweeps had no bound in bytes
  [[nodiscard]] Bytes digest() const override;

  Bytes query(const Bytes& request) override;
  Result range(const etcdserverpb::RangeRequest& request) override;
  Reading begin_range(const etcdserverpb::RangeRequest& request) override;
  Result range_part(const etcdserverpb::RangeRequest& request, RangeCursor& cursor,
                    std::size_t max_bytes) override;
  Result read_txn(const etcdserverpb::TxnRequest& request) override;
  Reading begin_read_txn(const etcdserverpb::TxnRequest& request) override;
  Result lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request) override;
  Result lease_leases() override;
  Result hash_kv(const etcdserverpb::HashKVRequest& request) override;
  Audit begin_audit() override;
  WatchHub& watches() override { return hub_; }
  [[nodiscard]] std::int64_t revision() const override { return visible_.revision; }
  [[nodiscard]] std::map<NodeId, NodeInfo> published() const override { return nodes_.all(); }
  [[nodiscard]] Statistics statistics() const override;
  [[nodiscard]] std::vector<Alarm> alarms() const override;

 private:
  // queries.cc
  [[nodiscard]] View view(Effort* effort = nullptr) const {
    return {*engine_, visible_.revision, visible_.compacted, effort, !work_.has_value()};
  }
  template <class Read>
  [[nodiscard]] LongRead later(Read read) const;
  [[nodiscard]] Result answer(Error error, std::string body) const {
    if (error != Error::none) body.clear();
    return {error, visible_.revision, Bytes::adopt(std::move(body))};
  }

  // etcd_model.cc: a command between its steps, and what watchers are told of it.
  // With nobody watching, changes are not kept for the hub: it is told that some are missing.
  ChangeSink sink() { return hub_.size() != 0 ? &changes_ : nullptr; }
  std::optional<Bytes> steps();
  [[nodiscard]] bool much_to_tell() const;
  void hand_out();
  void publish_before();
  void sweep();
  Bytes result(Error error);

  // commands.cc
  static bool may_take_long(Op op);
  Error execute(std::string_view command, storage::Transaction& txn);
  Stepwise<Error> execute_in_steps(Op op, std::string_view request, storage::Transaction& txn, Pace& pace);
  [[nodiscard]] Error refused_by_alarm(Op op) const;
  Error alarm(std::string_view request, storage::Transaction& txn, std::string& body);
  void finish(Writer& writer);
  Error execute(Op op, std::string_view request, Writer& writer, storage::Transaction& txn);
  Error put(std::string_view request, Writer& writer);
  Stepwise<Error> delete_range(std::string_view request, Writer& writer, Pace& pace);
  Stepwise<Error> transaction(std::string_view request, Writer& writer, Pace& pace);
  Error compact(std::string_view request);
  Error grant(std::string_view request, storage::Transaction& txn, std::string& body);
  Error keep_alive(std::string_view request, storage::Transaction& txn, std::string& body);
  Stepwise<Error> revoke(std::string_view request, Writer& writer, storage::Transaction& txn, Pace& pace);
  Stepwise<Error> tick(std::string_view request, storage::Transaction& txn, Pace& pace);
  [[nodiscard]] Duration counted(const ClockReading& now) const;
  Error publish(std::string_view request, storage::Transaction& txn);

  const std::size_t most_answer_bytes_;
  storage::Engine* engine_ = nullptr;
  State state_;    // after what was applied last
  State visible_;  // what readers see: after the last committed(), or what publish_before() tells
  State saved_;    // by the last settle()
  State before_;   // the command at hand
  Leases leases_;
  Alarms alarms_;
  Nodes nodes_;
  std::vector<Change> changes_;  // applied, not yet committed
  bool changes_complete_ = true;
  Hub hub_;
  google::protobuf::Arena arena_;
  Scratch scratch_;
  // Of the command at hand.
  storage::Transaction* txn_ = nullptr;
  std::string body_;
  std::size_t changes_before_ = 0;
  bool complete_before_ = true;
  std::optional<Steps<Error>> work_;  // of one that may take long; between two calls: it is half done
  bool worked_ = false;               // but for telling watchers
};

}  // namespace quorate::models::etcd
