#include "api/etcd/core.h"

#include <algorithm>
#include <utility>

#include "core/codec.h"
#include "models/etcd/alarms.h"

namespace quorate::api::etcd {

Core::Core(boost::asio::io_context& io, Backend& backend, Settings settings)
    : io_(&io),
      backend_(&backend),
      settings_(std::move(settings)),
      random_(std::random_device{}()),
      aside_(io, settings_.elsewhere) {}

Front Core::front(std::int64_t revision) const {
  const auto status = backend_->head();
  Front front;
  front.header(backend_->cluster().value, status.self.value, revision, status.epoch.value);
  return front;
}

void Core::fill(etcdserverpb::ResponseHeader& header, std::int64_t revision) const {
  const auto status = backend_->head();
  header.set_cluster_id(backend_->cluster().value);
  header.set_member_id(status.self.value);
  header.set_revision(revision);
  header.set_raft_term(status.epoch.value);
}

void Core::propose(CallPtr call, models::etcd::Op op, Message request) {
  if (request.size() > settings_.max_request_bytes) return call->finish(fault::request_too_large);
  backend_->propose(
      std::move(request).tagged(static_cast<std::uint8_t>(op)),
      [this, call = std::move(call)](replica::Outcome<Bytes> outcome) { answer(*call, outcome); });
}

void Core::propose(models::etcd::Op op, const google::protobuf::MessageLite& request, replica::Done done) {
  backend_->propose(models::etcd::command(op, request.SerializeAsString()), std::move(done));
}

void Core::propose_growth(CallPtr call, models::etcd::Op op, Message request) {
  if (has_room(call, request.size())) propose(std::move(call), op, std::move(request));
}

bool Core::has_room(const CallPtr& call, std::uint64_t bytes) {
  constexpr std::uint64_t overhead = 256;  // etcd's guess of what a key costs beside itself and its value
  if (backend_->has_room(bytes + overhead)) return true;
  raise_no_space();
  call->finish(fault::no_space);
  return false;
}

void Core::raise_no_space() {
  const NodeId self = backend_->head().self;
  const auto raised = model().alarms();
  const bool known = std::ranges::any_of(raised, [self](const models::etcd::Alarm& alarm) {
    return alarm.member == self && alarm.type == etcdserverpb::NOSPACE;
  });
  if (known || std::exchange(raising_, true)) return;
  backend_->propose(models::etcd::raise_alarm(etcdserverpb::NOSPACE, self),
                    [this](const replica::Outcome<Bytes>&) { raising_ = false; });
}

std::expected<models::etcd::Result, Status> decode(const replica::Outcome<Bytes>& outcome) {
  if (!outcome) return std::unexpected(status_of(outcome.error()));
  auto result = codec::decode<models::etcd::Result>(*outcome);
  if (!result) return std::unexpected(Status{Code::internal, "malformed result of a command"});
  return std::move(*result);
}

void Core::answer(http::Call& call, const replica::Outcome<Bytes>& outcome) {
  auto result = decode(outcome);
  if (!result) {
    ++counters.proposals_failed;
    return call.finish(std::move(result.error()));
  }
  answer(call, std::move(*result));
}

void Core::answer(http::Call& call, models::etcd::Result result) {
  if (result.error != models::etcd::Error::none) return call.finish(status_of(result.error));
  call.reply(front(result.revision).view(), std::move(result.body));
}

void Core::answer(const CallPtr& call, models::etcd::Reading reading) {
  if (auto* result = std::get_if<models::etcd::Result>(&reading)) return answer(*call, std::move(*result));
  // Many that ask for much and read nothing would have others wait for answers that nobody takes: where too
  // much is unread by the time a read's turn comes, it is not worth doing.
  const auto wanted = [call] {
    if (call->crowded()) call->finish(fault::too_many_requests);
    return call->open();
  };
  const bool taken = aside_.run(
      std::get<models::etcd::LongRead>(std::move(reading)),
      [this, call](models::etcd::Result result) { answer(*call, std::move(result)); }, wanted);
  if (!taken) call->finish(fault::too_many_requests);
}

void Core::reply(http::Call& call, const google::protobuf::MessageLite& response) {
  call.reply({}, Bytes::adopt(response.SerializeAsString()));
}

void Core::send(http::Call& call, const google::protobuf::MessageLite& response) {
  call.send({}, Bytes::adopt(response.SerializeAsString()));
}

}  // namespace quorate::api::etcd
