// Alarms, decided in the log like everything else: while one is raised, every replica refuses the same
// commands. Each is of a member and of a type; a type is in force while any member has it (etcd
// server/etcdserver/api/v3alarm).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "api/proto/rpc.pb.h"
#include "core/bytes.h"
#include "core/ids.h"
#include "models/etcd/store.h"

namespace quorate::models::etcd {

class Alarms {
 public:
  using Alarm = std::pair<etcdserverpb::AlarmType, NodeId>;

  void load(const storage::Reader& reader);
  // Carries out an AlarmRequest; the response, without its header, goes to `body`. As in etcd, raising again
  // what is raised is answered with it, and disarming what is not raised with nothing.
  void execute(const etcdserverpb::AlarmRequest& request, State& state, storage::Transaction& txn,
               std::string& body);

  [[nodiscard]] const std::set<Alarm>& all() const { return all_; }
  [[nodiscard]] bool raised(etcdserverpb::AlarmType type) const;
  [[nodiscard]] bool raised(etcdserverpb::AlarmType type, NodeId member) const {
    return all_.contains({type, member});
  }

 private:
  std::set<Alarm> all_;
};

// The command that raises one.
[[nodiscard]] Bytes raise_alarm(etcdserverpb::AlarmType type, NodeId member);

}  // namespace quorate::models::etcd
