// etcd's remote procedures, for client::Client::call and open.
#pragma once

#include "api/proto/rpc.pb.h"
#include "client/client.h"

namespace quorate::client::rpc {

namespace pb = ::etcdserverpb;
template <class Request, class Response>
using R = Rpc<Request, Response>;

inline constexpr R<pb::RangeRequest, pb::RangeResponse> range{"/etcdserverpb.KV/Range", true};
inline constexpr R<pb::PutRequest, pb::PutResponse> put{"/etcdserverpb.KV/Put"};
inline constexpr R<pb::DeleteRangeRequest, pb::DeleteRangeResponse> delete_range{
    "/etcdserverpb.KV/DeleteRange"};
inline constexpr R<pb::TxnRequest, pb::TxnResponse> txn{"/etcdserverpb.KV/Txn"};
inline constexpr R<pb::CompactionRequest, pb::CompactionResponse> compact{"/etcdserverpb.KV/Compact"};

inline constexpr R<pb::WatchRequest, pb::WatchResponse> watch{"/etcdserverpb.Watch/Watch"};

inline constexpr R<pb::LeaseGrantRequest, pb::LeaseGrantResponse> lease_grant{
    "/etcdserverpb.Lease/LeaseGrant"};
inline constexpr R<pb::LeaseRevokeRequest, pb::LeaseRevokeResponse> lease_revoke{
    "/etcdserverpb.Lease/LeaseRevoke"};
inline constexpr R<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse> lease_keep_alive{
    "/etcdserverpb.Lease/LeaseKeepAlive"};
inline constexpr R<pb::LeaseTimeToLiveRequest, pb::LeaseTimeToLiveResponse> lease_time_to_live{
    "/etcdserverpb.Lease/LeaseTimeToLive", true};
inline constexpr R<pb::LeaseLeasesRequest, pb::LeaseLeasesResponse> lease_leases{
    "/etcdserverpb.Lease/LeaseLeases", true};

inline constexpr R<pb::MemberAddRequest, pb::MemberAddResponse> member_add{"/etcdserverpb.Cluster/MemberAdd"};
inline constexpr R<pb::MemberRemoveRequest, pb::MemberRemoveResponse> member_remove{
    "/etcdserverpb.Cluster/MemberRemove"};
inline constexpr R<pb::MemberUpdateRequest, pb::MemberUpdateResponse> member_update{
    "/etcdserverpb.Cluster/MemberUpdate"};
inline constexpr R<pb::MemberPromoteRequest, pb::MemberPromoteResponse> member_promote{
    "/etcdserverpb.Cluster/MemberPromote"};
inline constexpr R<pb::MemberListRequest, pb::MemberListResponse> member_list{
    "/etcdserverpb.Cluster/MemberList", true};

inline constexpr R<pb::AuthenticateRequest, pb::AuthenticateResponse> authenticate{
    "/etcdserverpb.Auth/Authenticate", true};

inline constexpr R<pb::StatusRequest, pb::StatusResponse> status{"/etcdserverpb.Maintenance/Status", true};
inline constexpr R<pb::HashKVRequest, pb::HashKVResponse> hash_kv{"/etcdserverpb.Maintenance/HashKV", true};
inline constexpr R<pb::AlarmRequest, pb::AlarmResponse> alarm{"/etcdserverpb.Maintenance/Alarm", true};
inline constexpr R<pb::DefragmentRequest, pb::DefragmentResponse> defragment{
    "/etcdserverpb.Maintenance/Defragment", true};
inline constexpr R<pb::SnapshotRequest, pb::SnapshotResponse> snapshot{"/etcdserverpb.Maintenance/Snapshot"};
inline constexpr R<pb::MoveLeaderRequest, pb::MoveLeaderResponse> move_leader{
    "/etcdserverpb.Maintenance/MoveLeader"};

}  // namespace quorate::client::rpc
