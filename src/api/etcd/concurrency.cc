#include "api/etcd/concurrency.h"

#include <boost/asio/post.hpp>

#include "api/etcd/contender.h"
#include "api/proto/election.pb.h"
#include "api/proto/lock.pb.h"

namespace quorate::api::etcd {

namespace pb = etcdserverpb;
namespace lock_pb = v3lockpb;
namespace election_pb = v3electionpb;
using models::etcd::Op;

namespace {

// Tells the leader of an election whenever it is another, or proclaims something else.
class ObserveStream final : public http::CallStream {
 public:
  ObserveStream(Core& core, http::Call& call, const std::string& name)
      : core_(core), call_(&call), prefix_(prefix_of(name)) {}
  ~ObserveStream() override {
    if (watch_) core_.model().watches().remove(*watch_);
  }
  void start() {
    models::etcd::WatchSpec spec;
    spec.key = prefix_;
    spec.range_end = prefix_end(prefix_);
    spec.start_revision = core_.model().revision() + 1;
    watch_ = core_.model().watches().add(std::move(spec), [this] {
      boost::asio::post(core_.io(), [call = CallPtr(call_)] {
        if (call->open()) static_cast<ObserveStream&>(*call->stream()).look();
      });
    });
    look();
  }
  void writable() override { look(); }

 private:
  void look() {
    while (core_.model().watches().poll(*watch_, 64U << 10U).more) {
    }
    if (!call_->has_room()) return;  // writable() looks again: what counts is the state by then
    const auto leader = first_created(core_, prefix_);
    if (!leader || leader->mod_revision() == told_) return;
    told_ = leader->mod_revision();
    election_pb::LeaderResponse response;
    core_.fill(*response.mutable_header());
    *response.mutable_kv() = *leader;
    Core::send(*call_, response);
  }

  Core& core_;
  http::Call* call_;
  std::string prefix_;
  std::optional<models::etcd::WatchId> watch_;
  std::int64_t told_ = 0;
};

// Does `op` if the leader's key is still the one of its election.
pb::TxnRequest as_leader(const election_pb::LeaderKey& leader, const pb::RequestOp& op) {
  pb::TxnRequest txn;
  auto& compare = *txn.add_compare();
  compare.set_key(leader.key());
  compare.set_target(pb::Compare::CREATE);
  compare.set_create_revision(leader.rev());
  *txn.add_success() = op;
  return txn;
}

bool succeeded(const models::etcd::Result& result) {
  pb::TxnResponse response;
  const auto body = result.body.view();
  return response.ParseFromArray(body.data(), static_cast<int>(body.size())) && response.succeeded();
}

}  // namespace

void ConcurrencyService::add_to(Router& router) {
  router.unary<lock_pb::LockRequest, lock_pb::LockResponse>(
      "/v3lockpb.Lock/Lock", [this](const CallPtr& call, const Message& m) { lock(call, m); });
  router.unary<lock_pb::UnlockRequest, lock_pb::UnlockResponse>(
      "/v3lockpb.Lock/Unlock", [this](CallPtr call, const Message& m) { unlock(std::move(call), m); });
  router.unary<election_pb::CampaignRequest, election_pb::CampaignResponse>(
      "/v3electionpb.Election/Campaign",
      [this](const CallPtr& call, const Message& m) { campaign(call, m); });
  router.unary<election_pb::ProclaimRequest, election_pb::ProclaimResponse>(
      "/v3electionpb.Election/Proclaim",
      [this](CallPtr call, const Message& m) { proclaim(std::move(call), m); });
  router.unary<election_pb::LeaderRequest, election_pb::LeaderResponse>(
      "/v3electionpb.Election/Leader",
      [this](CallPtr call, const Message& m) { leader(std::move(call), m); });
  router.server_stream<election_pb::LeaderRequest, election_pb::LeaderResponse>(
      "/v3electionpb.Election/Observe",
      [this](CallPtr call, const Message& m) { observe(std::move(call), m); });
  router.unary<election_pb::ResignRequest, election_pb::ResignResponse>(
      "/v3electionpb.Election/Resign",
      [this](CallPtr call, const Message& m) { resign(std::move(call), m); });
}

void ConcurrencyService::lock(const CallPtr& call, const Message& message) {
  lock_pb::LockRequest request;
  if (!parse(*call, message, request)) return;
  contend(core_, call, {request.name(), "", request.lease()}, [this](http::Call& won, const Turn& turn) {
    lock_pb::LockResponse response;
    core_.fill(*response.mutable_header());
    response.set_key(turn.key);
    Core::reply(won, response);
  });
}

void ConcurrencyService::unlock(CallPtr call, const Message& message) {
  lock_pb::UnlockRequest request;
  if (!parse(*call, message, request)) return;
  pb::DeleteRangeRequest remove;
  remove.set_key(request.key());
  if (request.key().empty()) return call->finish(fault::empty_key);
  core_.propose(Op::delete_range, remove,
                [this, call = std::move(call)](const replica::Outcome<Bytes>& outcome) {
                  const auto result = decode(outcome);
                  if (!result) return call->finish(result.error());
                  lock_pb::UnlockResponse response;
                  core_.fill(*response.mutable_header(), result->revision);
                  Core::reply(*call, response);
                });
}

void ConcurrencyService::campaign(const CallPtr& call, const Message& message) {
  election_pb::CampaignRequest request;
  if (!parse(*call, message, request)) return;
  contend(core_, call, {request.name(), request.value(), request.lease()},
          [this, name = request.name()](http::Call& won, const Turn& turn) {
            election_pb::CampaignResponse response;
            core_.fill(*response.mutable_header());
            auto& leader = *response.mutable_leader();
            leader.set_name(name);
            leader.set_key(turn.key);
            leader.set_rev(turn.created);
            leader.set_lease(turn.lease);
            Core::reply(won, response);
          });
}

void ConcurrencyService::proclaim(CallPtr call, const Message& message) {
  election_pb::ProclaimRequest request;
  if (!parse(*call, message, request)) return;
  pb::RequestOp op;
  op.mutable_request_put()->set_key(request.leader().key());
  op.mutable_request_put()->set_value(request.value());
  op.mutable_request_put()->set_lease(request.leader().lease());
  const auto txn = as_leader(request.leader(), op);
  if (request.leader().key().empty()) return call->finish(fault::empty_key);
  core_.propose(Op::txn, txn, [this, call = std::move(call)](const replica::Outcome<Bytes>& outcome) {
    const auto result = decode(outcome);
    if (!result) return call->finish(result.error());
    if (result->error != models::etcd::Error::none) return call->finish(status_of(result->error));
    if (!succeeded(*result)) return call->finish(fault::election_not_leader);
    election_pb::ProclaimResponse response;
    core_.fill(*response.mutable_header(), result->revision);
    Core::reply(*call, response);
  });
}

void ConcurrencyService::resign(CallPtr call, const Message& message) {
  election_pb::ResignRequest request;
  if (!parse(*call, message, request)) return;
  pb::RequestOp op;
  op.mutable_request_delete_range()->set_key(request.leader().key());
  const auto txn = as_leader(request.leader(), op);
  if (request.leader().key().empty()) return call->finish(fault::empty_key);
  core_.propose(Op::txn, txn, [this, call = std::move(call)](const replica::Outcome<Bytes>& outcome) {
    const auto result = decode(outcome);  // who leads no more has nothing to resign
    if (!result) return call->finish(result.error());
    if (result->error != models::etcd::Error::none) return call->finish(status_of(result->error));
    election_pb::ResignResponse response;
    core_.fill(*response.mutable_header(), result->revision);
    Core::reply(*call, response);
  });
}

void ConcurrencyService::leader(CallPtr call, const Message& message) {
  election_pb::LeaderRequest request;
  if (!parse(*call, message, request)) return;
  core_.linearizable(std::move(call), [this, prefix = prefix_of(request.name())](const CallPtr& ready) {
    const auto leader = first_created(core_, prefix);
    if (!leader) return ready->finish(fault::election_no_leader);
    election_pb::LeaderResponse response;
    core_.fill(*response.mutable_header());
    *response.mutable_kv() = *leader;
    Core::reply(*ready, response);
  });
}

void ConcurrencyService::observe(CallPtr call, const Message& message) {
  election_pb::LeaderRequest request;
  if (!parse(*call, message, request)) return;
  core_.linearizable(std::move(call), [this, name = request.name()](const CallPtr& ready) {
    auto stream = std::make_unique<ObserveStream>(core_, *ready, name);
    ObserveStream& started = *stream;
    ready->attach(std::move(stream));
    if (ready->open()) started.start();
  });
}

}  // namespace quorate::api::etcd
