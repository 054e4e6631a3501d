// Clients of the etcd store as its users write them: each holds on to one node, watches there, reads there
// without asking anyone (serializable), puts keys under leases that it keeps alive, and compacts; when the
// node goes, it goes on at another where it left off. Judged by the chronicle: a watch tells every change
// once, in order, across reconnects and compactions, or says that history is gone; a serializable read is of
// a state that was; a revision means the same everywhere; a lease lasts as long as was granted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "check/history.h"
#include "models/etcd/etcd_model.h"
#include "sim/companion.h"
#include "sim/etcd_chronicle.h"
#include "sim/node.h"
#include "sim/stage.h"

namespace quorate::sim {

class EtcdSessions final : public Companion {
 public:
  using Pick = std::function<Node*(Rng&)>;
  EtcdSessions(Stage& stage, Rng rng, std::uint32_t count, Pick pick);

  void begin() override;
  void wake(std::uint32_t session) override;
  void stop() override { stopped_ = true; }
  [[nodiscard]] bool idle() const override { return open_ == 0; }
  void committed(const replica::Command& command, Index index) override;
  void half_done(Node& node) override;
  void answered(const Bytes& command, const Bytes& result) override;
  void final_checks() override;

 private:
  struct Session {
    Rng rng;
    Node* node = nullptr;
    std::uint64_t process = 0;  // of the node; another one knows nothing of the watch
    models::etcd::WatchId watch = 0;
    std::string key{};
    std::string range_end{};
    std::int64_t next = 0;     // the first revision the watch has not told; 0: none yet
    std::uint64_t client = 0;  // in history_; a new one for each attachment
    bool busy = false;
  };

  [[nodiscard]] static models::etcd::EtcdModel& model_of(const Session& session);
  [[nodiscard]] static bool attached(const Session& session);
  void attach(Session& session, Node* node);
  void detach(Session& session);
  void poll(Session& session);
  void judge(const Session& session, const models::etcd::WatchBatch& batch);
  void read(Session& session);
  void write(std::uint32_t number);
  [[nodiscard]] Bytes draw(Session& session);
  void settle(const check::Operation& put, const Bytes& command);
  void fail(const char* property, std::string what) { stage_->checks.fail(property, std::move(what)); }

  Stage* stage_;
  Pick pick_;
  std::vector<Session> sessions_;
  EtcdChronicle chronicle_;
  check::History history_;  // of serializable reads and the puts of the same clients
  std::uint64_t position_ = 0;
  std::uint64_t clients_ = 0;
  std::uint64_t values_ = 0;
  std::int64_t leases_ = 0;  // granted so far: their ids
  std::uint32_t open_ = 0;
  bool stopped_ = false;
};

}  // namespace quorate::sim
