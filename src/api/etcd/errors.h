// The errors etcd's clients know. Clients match code and text (etcd api/v3rpc/rpctypes), and retry by
// themselves only what is Unavailable.
#pragma once

#include "api/http/rpc.h"
#include "models/etcd/etcd_model.h"
#include "replica/replica.h"

namespace quorate::api::etcd {

using http::Code;
using http::Status;

struct Fault {
  Code code;
  const char* text;
  operator Status() const { return {code, text}; }  // NOLINT(google-explicit-constructor): a named Status
};

namespace fault {

inline constexpr Fault empty_key{Code::invalid_argument, "etcdserver: key is not provided"};
inline constexpr Fault key_not_found{Code::invalid_argument, "etcdserver: key not found"};
inline constexpr Fault value_provided{Code::invalid_argument, "etcdserver: value is provided"};
inline constexpr Fault lease_provided{Code::invalid_argument, "etcdserver: lease is provided"};
inline constexpr Fault too_many_ops{Code::invalid_argument, "etcdserver: too many operations in txn request"};
inline constexpr Fault duplicate_key{Code::invalid_argument,
                                     "etcdserver: duplicate key given in txn request"};
inline constexpr Fault invalid_client_api_version{Code::invalid_argument,
                                                  "etcdserver: invalid client api version"};
inline constexpr Fault invalid_sort_option{Code::invalid_argument, "etcdserver: invalid sort option"};
inline constexpr Fault compacted{Code::out_of_range,
                                 "etcdserver: mvcc: required revision has been compacted"};
inline constexpr Fault future_revision{Code::out_of_range,
                                       "etcdserver: mvcc: required revision is a future revision"};
inline constexpr Fault no_space{Code::resource_exhausted, "etcdserver: mvcc: database space exceeded"};

inline constexpr Fault lease_not_found{Code::not_found, "etcdserver: requested lease not found"};
inline constexpr Fault lease_exists{Code::failed_precondition, "etcdserver: lease already exists"};
inline constexpr Fault lease_ttl_too_large{Code::out_of_range, "etcdserver: too large lease TTL"};

inline constexpr Fault watch_canceled{Code::cancelled, "etcdserver: watch canceled"};

inline constexpr Fault member_exists{Code::failed_precondition, "etcdserver: member ID already exist"};
inline constexpr Fault peer_url_exists{Code::failed_precondition, "etcdserver: Peer URLs already exists"};
inline constexpr Fault not_enough_started{
    Code::failed_precondition, "etcdserver: re-configuration failed due to not enough started members"};
inline constexpr Fault bad_member_urls{Code::invalid_argument, "etcdserver: given member URLs are invalid"};
inline constexpr Fault member_not_found{Code::not_found, "etcdserver: member not found"};
inline constexpr Fault member_not_learner{Code::failed_precondition,
                                          "etcdserver: can only promote a learner member"};
inline constexpr Fault learner_not_ready{
    Code::failed_precondition, "etcdserver: can only promote a learner member which is in sync with leader"};
inline constexpr Fault too_many_learners{Code::failed_precondition,
                                         "etcdserver: too many learner members in cluster"};

inline constexpr Fault cluster_id_mismatch{Code::failed_precondition, "etcdserver: cluster ID mismatch"};

inline constexpr Fault request_too_large{Code::invalid_argument, "etcdserver: request is too large"};
inline constexpr Fault too_many_requests{Code::resource_exhausted, "etcdserver: too many requests"};

inline constexpr Fault root_user_missing{Code::failed_precondition, "etcdserver: root user does not exist"};
inline constexpr Fault root_role_missing{Code::failed_precondition,
                                         "etcdserver: root user does not have root role"};
inline constexpr Fault user_exists{Code::failed_precondition, "etcdserver: user name already exists"};
inline constexpr Fault user_empty{Code::invalid_argument, "etcdserver: user name is empty"};
inline constexpr Fault user_not_found{Code::failed_precondition, "etcdserver: user name not found"};
inline constexpr Fault role_exists{Code::failed_precondition, "etcdserver: role name already exists"};
inline constexpr Fault role_not_found{Code::failed_precondition, "etcdserver: role name not found"};
inline constexpr Fault role_empty{Code::invalid_argument, "etcdserver: role name is empty"};
inline constexpr Fault authentication_failed{
    Code::invalid_argument, "etcdserver: authentication failed, invalid user ID or password"};
inline constexpr Fault permission_not_given{Code::invalid_argument, "etcdserver: permission not given"};
inline constexpr Fault permission_denied{Code::permission_denied, "etcdserver: permission denied"};
inline constexpr Fault role_not_granted{Code::failed_precondition,
                                        "etcdserver: role is not granted to the user"};
inline constexpr Fault permission_not_granted{Code::failed_precondition,
                                              "etcdserver: permission is not granted to the role"};
inline constexpr Fault auth_not_enabled{Code::failed_precondition,
                                        "etcdserver: authentication is not enabled"};
inline constexpr Fault invalid_auth_token{Code::unauthenticated, "etcdserver: invalid auth token"};
inline constexpr Fault invalid_auth_management{Code::invalid_argument, "etcdserver: invalid auth management"};
inline constexpr Fault auth_old_revision{Code::invalid_argument, "etcdserver: revision of auth store is old"};

inline constexpr Fault no_leader{Code::unavailable, "etcdserver: no leader"};
inline constexpr Fault not_leader{Code::failed_precondition, "etcdserver: not leader"};
inline constexpr Fault leader_changed{Code::unavailable, "etcdserver: leader changed"};
inline constexpr Fault not_capable{Code::failed_precondition, "etcdserver: not capable"};
inline constexpr Fault stopped{Code::unavailable, "etcdserver: server stopped"};
inline constexpr Fault timed_out{Code::unavailable, "etcdserver: request timed out"};
inline constexpr Fault timed_out_leader_failure{
    Code::unavailable, "etcdserver: request timed out, possibly due to previous leader failure"};
inline constexpr Fault timed_out_connection_lost{
    Code::unavailable, "etcdserver: request timed out, possibly due to connection lost"};
inline constexpr Fault timed_out_applied_index{
    Code::unavailable, "etcdserver: request timed out, waiting for the applied index took too long"};
inline constexpr Fault unhealthy{Code::unavailable, "etcdserver: unhealthy cluster"};
inline constexpr Fault corrupt{Code::data_loss, "etcdserver: corrupt cluster"};
inline constexpr Fault not_for_learners{Code::failed_precondition,
                                        "etcdserver: rpc not supported for learner"};
inline constexpr Fault bad_leader_transferee{Code::failed_precondition, "etcdserver: bad leader transferee"};

inline constexpr Fault cluster_version_unavailable{Code::failed_precondition,
                                                   "etcdserver: cluster version not found during downgrade"};
inline constexpr Fault wrong_downgrade_version_format{Code::invalid_argument,
                                                      "etcdserver: wrong downgrade target version format"};
inline constexpr Fault invalid_downgrade_target{Code::invalid_argument,
                                                "etcdserver: invalid downgrade target version"};
inline constexpr Fault downgrade_in_process{Code::failed_precondition,
                                            "etcdserver: cluster has a downgrade job in progress"};
inline constexpr Fault no_inflight_downgrade{Code::failed_precondition,
                                             "etcdserver: no inflight downgrade job"};

// Not etcd's: etcd drops a membership change that meets another one. Unavailable, so that clients try again.
inline constexpr Fault change_pending{
    Code::unavailable,
    "etcdserver: another membership change or leader transfer is under way, or was made meanwhile"};
// etcd's gRPC says how large; whoever gets it asks for a limit, or for RangeStream.
inline constexpr Fault response_too_large{Code::resource_exhausted,
                                          "grpc: trying to send message larger than max"};
inline constexpr Fault malformed{Code::internal, "the request is not a valid message"};

// Server-side elections answer with the client library's errors (etcd client/v3/concurrency).
inline constexpr Fault election_not_leader{Code::unknown, "election: not leader"};
inline constexpr Fault election_no_leader{Code::unknown, "election: no leader"};
inline constexpr Fault session_expired{Code::unknown, "mutex: session is expired"};

}  // namespace fault

[[nodiscard]] Status status_of(models::etcd::Error error);
[[nodiscard]] Status status_of(replica::Failure failure);

}  // namespace quorate::api::etcd
