#include "api/etcd/lease.h"

#include <algorithm>

namespace quorate::api::etcd {

namespace pb = etcdserverpb;
using models::etcd::Op;

namespace {

class KeepAliveStream final : public http::CallStream {
 public:
  KeepAliveStream(Core& core, http::Call& call) : core_(core), call_(&call) {}

  void message(Message message) override {
    pb::LeaseKeepAliveRequest request;
    if (!parse(*call_, message, request)) return;
    if (pending_ >= core_.settings().max_keep_alives || !call_->has_room())
      return call_->finish(fault::too_many_requests);
    ++pending_;
    core_.backend().propose(std::move(message).tagged(static_cast<std::uint8_t>(Op::lease_keep_alive)),
                            [&core = core_, call = CallPtr(call_), id = request.id()](
                                replica::Outcome<Bytes> outcome) { answer(core, *call, id, outcome); });
  }
  void half_closed() override {
    half_closed_ = true;
    if (pending_ == 0) call_->finish({});
  }

 private:
  // An unknown lease is told by a TTL of 0, not by an error: the stream serves other leases too.
  static void answer(Core& core, http::Call& call, std::int64_t id, const replica::Outcome<Bytes>& outcome) {
    if (!call.open()) return;  // with it went the stream
    auto result = decode(outcome);
    if (!result) return call.finish(std::move(result.error()));
    if (result->error == models::etcd::Error::lease_not_found) {
      Front front = core.front(result->revision);
      front.field(2, static_cast<std::uint64_t>(id));
      call.send(front.view(), {});
    } else if (result->error != models::etcd::Error::none) {
      return call.finish(status_of(result->error));
    } else {
      call.send(core.front(result->revision).view(), std::move(result->body));
    }
    if (auto* stream = static_cast<KeepAliveStream*>(call.stream())) stream->answered();
  }
  void answered() {
    if (--pending_ == 0 && half_closed_) call_->finish({});
  }

  Core& core_;
  http::Call* call_;
  std::size_t pending_ = 0;
  bool half_closed_ = false;
};

}  // namespace

void LeaseService::add_to(Router& router) {
  router.unary<pb::LeaseGrantRequest, pb::LeaseGrantResponse>(
      "/etcdserverpb.Lease/LeaseGrant",
      [this](CallPtr call, const Message& m) { grant(std::move(call), m); });
  router.unary<pb::LeaseRevokeRequest, pb::LeaseRevokeResponse>(
      "/etcdserverpb.Lease/LeaseRevoke", [this](CallPtr call, Message m) {
        pb::LeaseRevokeRequest request;
        if (parse(*call, m, request)) core_.propose(std::move(call), Op::lease_revoke, std::move(m));
      });
  router.bidirectional<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>(
      "/etcdserverpb.Lease/LeaseKeepAlive",
      [this](const CallPtr& call) { return std::make_unique<KeepAliveStream>(core_, *call); });
  router.unary<pb::LeaseTimeToLiveRequest, pb::LeaseTimeToLiveResponse>(
      "/etcdserverpb.Lease/LeaseTimeToLive",
      [this](CallPtr call, const Message& m) { time_to_live(std::move(call), m); });
  router.unary<pb::LeaseLeasesRequest, pb::LeaseLeasesResponse>(
      "/etcdserverpb.Lease/LeaseLeases", [this](CallPtr call, const Message&) {
        core_.linearizable(std::move(call), [this](const CallPtr& ready) {
          core_.answer(*ready, core_.model().lease_leases());
        });
      });
}

std::int64_t choose_lease(Core& core) {
  const auto id = static_cast<std::int64_t>(core.random() >> 1U);
  return id == 0 ? 1 : id;
}

void LeaseService::grant(CallPtr call, const Message& message) {
  pb::LeaseGrantRequest request;
  if (!parse(*call, message, request)) return;
  if (!core_.has_room(call, message.size())) return;
  // Chosen in front of the log, as the id is: every replica must grant the same.
  request.set_ttl(std::max(request.ttl(), core_.settings().min_lease_ttl));
  if (request.id() == 0) request.set_id(choose_lease(core_));
  core_.propose(Op::lease_grant, request, [this, call = std::move(call)](replica::Outcome<Bytes> outcome) {
    core_.answer(*call, outcome);
  });
}

void LeaseService::time_to_live(CallPtr call, const Message& message) {
  auto request = std::make_unique<pb::LeaseTimeToLiveRequest>();
  if (!parse(*call, message, *request)) return;
  core_.linearizable(std::move(call), [this, request = std::move(request)](const CallPtr& ready) {
    auto result = core_.model().lease_time_to_live(*request);
    if (result.error == models::etcd::Error::lease_not_found) {  // told by a TTL of -1
      pb::LeaseTimeToLiveResponse response;
      core_.fill(*response.mutable_header(), result.revision);
      response.set_id(request->id());
      response.set_ttl(-1);
      return Core::reply(*ready, response);
    }
    core_.answer(*ready, std::move(result));
  });
}

}  // namespace quorate::api::etcd
