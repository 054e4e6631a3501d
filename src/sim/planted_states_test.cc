// The simulator must bite: state machines and clients with a bug planted around them, each found by the
// property that is meant for it.
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/etcd_model.h"
#include "registry/registry.h"
#include "sim/companion.h"
#include "sim/workload_model.h"
#include "sim/world.h"

namespace quorate::sim {
namespace {

namespace etcd = models::etcd;
namespace pb = etcdserverpb;

// Passes everything through; a bug overrides what it spoils.
class SpoiledStore : public etcd::EtcdModel {
 public:
  void open(storage::Engine& state) override { inner_->open(state); }
  Bytes apply(const Bytes& command, storage::Transaction& txn) override {
    return inner_->apply(command, txn);
  }
  void settle(storage::Transaction& txn) override { inner_->settle(txn); }
  void committed(Index index) override { inner_->committed(index); }
  std::optional<Bytes> periodic(const models::ClockReading& now) override { return inner_->periodic(now); }
  std::optional<Bytes> diverged(NodeId member) override { return inner_->diverged(member); }
  Bytes query(const Bytes& request) override { return inner_->query(request); }
  [[nodiscard]] Bytes digest() const override { return inner_->digest(); }
  etcd::Result range(const pb::RangeRequest& request) override { return inner_->range(request); }
  etcd::Result range_part(const pb::RangeRequest& request, etcd::RangeCursor& cursor,
                          std::size_t max_bytes) override {
    return inner_->range_part(request, cursor, max_bytes);
  }
  etcd::Result read_txn(const pb::TxnRequest& request) override { return inner_->read_txn(request); }
  etcd::Result lease_time_to_live(const pb::LeaseTimeToLiveRequest& request) override {
    return inner_->lease_time_to_live(request);
  }
  etcd::Result lease_leases() override { return inner_->lease_leases(); }
  etcd::Result hash_kv(const pb::HashKVRequest& request) override { return inner_->hash_kv(request); }
  etcd::WatchHub& watches() override { return inner_->watches(); }
  [[nodiscard]] std::int64_t revision() const override { return inner_->revision(); }
  [[nodiscard]] std::map<NodeId, NodeInfo> published() const override { return inner_->published(); }
  [[nodiscard]] etcd::Statistics statistics() const override { return inner_->statistics(); }
  [[nodiscard]] std::vector<etcd::Alarm> alarms() const override { return inner_->alarms(); }

 private:
  std::unique_ptr<etcd::EtcdModel> inner_ = etcd::EtcdModel::create();
};

// The same for what the simulator knows of a state machine.
class SpoiledWorkload : public WorkloadModel {
 public:
  explicit SpoiledWorkload(const char* name) : inner_(make_workload_model(name)) {}
  [[nodiscard]] std::unique_ptr<models::Model> create() const override { return inner_->create(); }
  [[nodiscard]] bool appends() const override { return inner_->appends(); }
  [[nodiscard]] Bytes command(const check::Operation& op, std::uint64_t id) const override {
    return inner_->command(op, id);
  }
  void result(const Bytes& result, check::Operation& op) const override { inner_->result(result, op); }
  [[nodiscard]] std::uint64_t id_of(const Bytes& command) const override { return inner_->id_of(command); }
  [[nodiscard]] std::unique_ptr<Companion> companion(Stage& stage, Rng rng,
                                                     std::function<Node*(Rng&)> pick) const override {
    return inner_->companion(stage, rng, std::move(pick));
  }
  [[nodiscard]] Bytes query(const check::Operation& op) const override { return inner_->query(op); }
  void answer(const Bytes& answer, check::Operation& op) const override { inner_->answer(answer, op); }

 private:
  std::unique_ptr<WorkloadModel> inner_;
};

template <class Bug>
class Store final : public SpoiledWorkload {
 public:
  Store() : SpoiledWorkload("etcd") {}
  [[nodiscard]] std::unique_ptr<models::Model> create() const override { return std::make_unique<Bug>(); }
};

constexpr std::string_view any;

// True once a seed violates the property.
bool found(const WorkloadModel& model, std::string_view property) {
  Options options;
  options.factory = registry::find("raft").value()->make;
  options.rejoin = registry::find("raft").value()->rejoin;
  options.faults = FaultSet::parse("kill,transfer").value();
  options.operations = 200;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Result result = World(options, model, seed, nullptr).run();
    if (!result.ok && (property == any || result.property == property)) return true;
  }
  return false;
}

TEST(PlantedStates, NothingIsFoundWhereNothingIsPlanted) { EXPECT_FALSE(found(Store<SpoiledStore>(), any)); }

class DropsAnEvent final : public SpoiledStore {
  class Hub final : public etcd::WatchHub {
   public:
    explicit Hub(etcd::WatchHub& inner) : inner_(&inner) {}
    etcd::WatchId add(etcd::WatchSpec spec, std::move_only_function<void()> ready) override {
      return inner_->add(std::move(spec), std::move(ready));
    }
    void remove(etcd::WatchId id) override { inner_->remove(id); }
    etcd::WatchBatch poll(etcd::WatchId id, std::size_t max_bytes) override {
      auto batch = inner_->poll(id, max_bytes);
      if (batch.events.size() > 2) {
        batch.events.pop_back();
        batch.revisions.pop_back();
      }
      return batch;
    }
    [[nodiscard]] bool synced(etcd::WatchId id) const override { return inner_->synced(id); }
    [[nodiscard]] std::size_t size() const override { return inner_->size(); }

   private:
    etcd::WatchHub* inner_;
  };
  etcd::WatchHub& watches() override { return *(hub_ = std::make_unique<Hub>(SpoiledStore::watches())); }
  std::unique_ptr<Hub> hub_;
};

TEST(PlantedStates, AWatchThatSkipsAnEventIsFound) { EXPECT_TRUE(found(Store<DropsAnEvent>(), "watch")); }

class HurriesLeases final : public SpoiledStore {
  std::optional<Bytes> periodic(const models::ClockReading& now) override {
    return SpoiledStore::periodic({now.node, now.incarnation, now.shown * 4});
  }
};

TEST(PlantedStates, ALeaseThatEndsEarlyIsFound) { EXPECT_TRUE(found(Store<HurriesLeases>(), "lease")); }

class DelaysLeases final : public SpoiledStore {
  std::optional<Bytes> periodic(const models::ClockReading& now) override {
    return SpoiledStore::periodic({now.node, now.incarnation, now.shown / 3});
  }
};

TEST(PlantedStates, ALeaseThatEndsLateIsFound) { EXPECT_TRUE(found(Store<DelaysLeases>(), "lease")); }

class MiscountsRevisions final : public SpoiledStore {
  Bytes apply(const Bytes& command, storage::Transaction& txn) override {
    Bytes result = SpoiledStore::apply(command, txn);
    auto decoded = codec::decode<etcd::Result>(result);
    if (!decoded || ++applied_ < 50) return result;
    ++decoded->revision;
    return codec::encode(*decoded);
  }
  int applied_ = 0;
};

TEST(PlantedStates, ARevisionToldWrongIsFound) {
  EXPECT_TRUE(found(Store<MiscountsRevisions>(), "revision"));
}

class ForgetsWhatItHolds final : public SpoiledStore {
  etcd::Result range(const pb::RangeRequest& request) override {
    etcd::Result result = SpoiledStore::range(request);
    if (++asked_ > 5) result.body = Bytes();
    return result;
  }
  int asked_ = 0;
};

TEST(PlantedStates, ASerializableReadOfNoStateThatWasIsFound) {
  EXPECT_TRUE(found(Store<ForgetsWhatItHolds>(), "serializable read"));
}

class DiffersAtEachNode final : public SpoiledStore {
  [[nodiscard]] Bytes digest() const override {
    return Bytes::copy(SpoiledStore::digest().str() + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
  }
};

TEST(PlantedStates, StatesThatDifferAreFound) {
  EXPECT_TRUE(found(Store<DiffersAtEachNode>(), "digest agreement"));
}

class SwapsThatAlwaysSucceed final : public SpoiledWorkload {
 public:
  SwapsThatAlwaysSucceed() : SpoiledWorkload("register") {}
  void result(const Bytes& result, check::Operation& op) const override {
    SpoiledWorkload::result(result, op);
    if (op.kind == check::OpKind::cas) op.succeeded = true;
  }
};

TEST(PlantedStates, ASwapReportedAsDoneThatWasNotIsFound) {
  EXPECT_TRUE(found(SwapsThatAlwaysSucceed(), "linearizability"));
}

// Each command is taken for another in the log: what a client was told is done is not there when it is told.
class TakesCommandsForOthers final : public SpoiledWorkload {
 public:
  TakesCommandsForOthers() : SpoiledWorkload("register") {}
  [[nodiscard]] std::uint64_t id_of(const Bytes& command) const override {
    return SpoiledWorkload::id_of(command) + 1;
  }
};

TEST(PlantedStates, AnAcknowledgedCommandThatIsNotInTheLogIsFound) {
  EXPECT_TRUE(found(TakesCommandsForOthers(), "durability"));
}

}  // namespace
}  // namespace quorate::sim
