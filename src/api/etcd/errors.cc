#include "api/etcd/errors.h"

namespace quorate::api::etcd {

Status status_of(models::etcd::Error error) {
  using models::etcd::Error;
  switch (error) {
    case Error::none: return {};
    case Error::empty_key: return fault::empty_key;
    case Error::key_not_found: return fault::key_not_found;
    case Error::value_provided: return fault::value_provided;
    case Error::lease_provided: return fault::lease_provided;
    case Error::too_many_ops: return fault::too_many_ops;
    case Error::duplicate_key: return fault::duplicate_key;
    case Error::compacted: return fault::compacted;
    case Error::future_revision: return fault::future_revision;
    case Error::lease_not_found: return fault::lease_not_found;
    case Error::lease_exists: return fault::lease_exists;
    case Error::lease_ttl_too_large: return fault::lease_ttl_too_large;
    case Error::invalid_sort_option: return fault::invalid_sort_option;
    case Error::malformed: return fault::malformed;
    case Error::too_large: return fault::response_too_large;
    case Error::no_space: return fault::no_space;
    case Error::corrupt: return fault::corrupt;
  }
  return {Code::internal, "unknown result"};
}

Status status_of(replica::Failure failure) {
  using replica::Failure;
  switch (failure) {
    case Failure::no_leader: return fault::no_leader;
    case Failure::overloaded: return fault::too_many_requests;
    case Failure::change_pending: return fault::change_pending;
    case Failure::not_ready: return fault::learner_not_ready;
    case Failure::invalid:
      return {Code::failed_precondition, "etcdserver: the request can not be carried out"};
    case Failure::timed_out: return fault::timed_out;
    case Failure::stopping: return fault::stopped;
  }
  return {Code::internal, "unknown failure"};
}

}  // namespace quorate::api::etcd
