#include "api/etcd/maintenance.h"

#include "api/etcd/snapshot.h"

namespace quorate::api::etcd {

namespace pb = etcdserverpb;

void MaintenanceService::add_to(Router& router) {
  router.unary<pb::StatusRequest, pb::StatusResponse>(
      "/etcdserverpb.Maintenance/Status", [this](CallPtr call, const Message&) { status(std::move(call)); });
  router.unary<pb::MoveLeaderRequest, pb::MoveLeaderResponse>(
      "/etcdserverpb.Maintenance/MoveLeader",
      [this](CallPtr call, const Message& m) { move_leader(std::move(call), m); });
  router.unary<pb::HashKVRequest, pb::HashKVResponse>("/etcdserverpb.Maintenance/HashKV",
                                                      [this](const CallPtr& call, const Message& m) {
                                                        pb::HashKVRequest request;
                                                        if (parse(*call, m, request))
                                                          core_.answer(*call, core_.model().hash_kv(request));
                                                      });
  router.unary<pb::HashRequest, pb::HashResponse>(
      "/etcdserverpb.Maintenance/Hash", [this](const CallPtr& call, const Message&) {
        core_.backend().when_settled([this, call] { hash(*call); });
      });
  router.unary<pb::AlarmRequest, pb::AlarmResponse>(
      "/etcdserverpb.Maintenance/Alarm", [this](CallPtr call, Message m) {
        pb::AlarmRequest request;
        if (parse(*call, m, request)) core_.propose(std::move(call), models::etcd::Op::alarm, std::move(m));
      });
  router.unary<pb::DefragmentRequest, pb::DefragmentResponse>(
      "/etcdserverpb.Maintenance/Defragment", [this](CallPtr call, const Message&) {
        // The engine gives space back by itself, in time; this makes it happen now.
        core_.backend().defragment([this, call = std::move(call)](const storage::IoResult<void>& done) {
          if (!done) return call->finish({Code::unknown, done.error().what});
          pb::DefragmentResponse response;
          core_.fill(*response.mutable_header());
          Core::reply(*call, response);
        });
      });
  router.unary<pb::DowngradeRequest, pb::DowngradeResponse>(
      "/etcdserverpb.Maintenance/Downgrade",
      [this](CallPtr call, const Message& m) { downgrade(std::move(call), m); });
  router.server_stream<pb::SnapshotRequest, pb::SnapshotResponse>(
      "/etcdserverpb.Maintenance/Snapshot", [this](const CallPtr& call, const Message&) {
        core_.backend().when_settled([this, call] { send_snapshot(core_, call); });
      });
}

// The first four bytes of the state's digest: equal at all members that applied the same commands.
void MaintenanceService::hash(http::Call& call) {
  std::uint32_t hash = 0;
  const Bytes digest = core_.model().digest();
  for (const char c : digest.view().substr(0, 4)) hash = hash << 8U | static_cast<unsigned char>(c);
  pb::HashResponse response;
  core_.fill(*response.mutable_header());
  response.set_hash(hash);
  Core::reply(call, response);
}

void MaintenanceService::status(CallPtr call) {
  auto& backend = core_.backend();
  const auto now = backend.status();
  pb::StatusResponse response;
  core_.fill(*response.mutable_header());
  response.set_version(server_version);
  response.set_storageversion(cluster_version);
  const auto bytes = static_cast<std::int64_t>(core_.model().statistics().bytes);
  response.set_dbsize(bytes);  // as in etcd, what the quota is compared with
  response.set_dbsizeinuse(bytes);
  response.set_dbsizequota(static_cast<std::int64_t>(backend.quota()));
  response.set_leader(now.leader.value);
  response.set_raftindex(now.committed.value);
  response.set_raftappliedindex(now.applied.value);
  response.set_raftterm(now.epoch.value);
  response.mutable_downgradeinfo();  // none under way
  response.set_islearner(backend.head().learner);
  if (now.leader.none()) response.add_errors(fault::no_leader.text);
  if (now.rejoining)
    response.add_errors(
        "quorate: this member's log was damaged, it votes for nobody until it "
        "has from the others what it lost");
  for (const auto& alarm : core_.model().alarms()) {  // as etcd 3.4 prints its messages
    response.add_errors("memberID:" + to_string(alarm.member) +
                        " alarm:" + pb::AlarmType_Name(static_cast<pb::AlarmType>(alarm.type)) + " ");
  }
  Core::reply(*call, response);
}

void MaintenanceService::move_leader(CallPtr call, const Message& message) {
  pb::MoveLeaderRequest request;
  if (!parse(*call, message, request)) return;
  const auto now = core_.backend().status();
  const NodeId target(request.targetid());
  const quorate::Member* member = now.membership.find(target);
  if (member == nullptr || member->role != Role::voter) return call->finish(fault::bad_leader_transferee);
  core_.backend().transfer(target, [this, call = std::move(call)](const replica::Outcome<Bytes>& outcome) {
    if (!outcome) return call->finish(status_of(outcome.error()));
    pb::MoveLeaderResponse response;
    core_.fill(*response.mutable_header());
    Core::reply(*call, response);
  });
}

// There is one storage version and nothing to go back to.
void MaintenanceService::downgrade(CallPtr call, const Message& message) {
  pb::DowngradeRequest request;
  if (!parse(*call, message, request)) return;
  if (request.action() == pb::DowngradeRequest::CANCEL) return call->finish(fault::no_inflight_downgrade);
  call->finish(fault::invalid_downgrade_target);
}

}  // namespace quorate::api::etcd
