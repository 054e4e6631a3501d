// What the etcd API needs of the node behind it. All calls on the reactor's thread; completions too, each
// once, possibly before the call returns.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/node_info.h"
#include "models/etcd/etcd_model.h"
#include "replica/replica.h"
#include "storage/engine.h"

namespace quorate::api::etcd {

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual void propose(Bytes command, replica::Done done) = 0;
  virtual void read(replicated_log::ReadMode mode, replica::ReadDone done) = 0;
  // From `base` to `members`; change_pending if others than `base` are in force.
  virtual void reconfigure(std::vector<Member> base, std::vector<Member> members, replica::Done done) = 0;
  virtual void transfer(NodeId to, replica::Done done) = 0;

  [[nodiscard]] virtual models::etcd::EtcdModel& model() = 0;
  [[nodiscard]] virtual storage::Engine& engine() = 0;
  [[nodiscard]] virtual replica::Replica::Status status() const = 0;
  [[nodiscard]] virtual ClusterId cluster() const = 0;
  // The ids of members of other keyspaces who are reached at one of these URLs, but for those that this
  // keyspace has removed: a machine is one node in all of them.
  [[nodiscard]] virtual std::vector<NodeId> known_at(const std::vector<std::string>& /*peer_urls*/) const {
    return {};
  }
  // Calls when the engine holds no half of a command: at once, or soon.
  virtual void when_settled(std::move_only_function<void()> call) { call(); }
  // Bytes of the write-ahead log and state on disk.
  [[nodiscard]] virtual std::uint64_t bytes_on_disk() const = 0;

  // What every response's header needs. Worth overriding where status() copies a membership.
  struct Head {
    NodeId self;
    NodeId leader;
    Epoch epoch;
    bool learner = false;
  };
  [[nodiscard]] virtual Head head() const {
    const auto now = status();
    const Member* me = now.membership.find(now.self);
    return {now.self, now.leader, now.epoch, me != nullptr && me->role == Role::learner};
  }
  // Gives back the space of what was deleted; `done` is called when that is over.
  virtual void defragment(std::function<void(storage::IoResult<void>)> done) { done({}); }
  // How large the state may become, in Statistics::bytes; 0: there is no bound.
  [[nodiscard]] virtual std::uint64_t quota() const { return 0; }
  // Whether this node has room for so many bytes more. If not, it raises the NOSPACE alarm.
  [[nodiscard]] virtual bool has_room(std::uint64_t bytes) const {
    return quota() == 0 || const_cast<Backend&>(*this).model().statistics().bytes + bytes < quota();
  }
  // Further metrics of the node in Prometheus' text form, for /metrics.
  virtual void write_metrics(std::string&) const {}
};

}  // namespace quorate::api::etcd
