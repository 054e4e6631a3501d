#include <algorithm>
#include <thread>

#include "tool/workers.h"

namespace quorate::faults {
namespace {

client::Options options(const Run& run, std::uint64_t first, std::chrono::milliseconds timeout) {
  client::Options out;
  out.endpoints = run.endpoints.get();
  std::ranges::rotate(out.endpoints,
                      out.endpoints.begin() + static_cast<std::ptrdiff_t>(first % out.endpoints.size()));
  out.dial_timeout = std::chrono::milliseconds(500);
  out.command_timeout = timeout;
  return out;
}

}  // namespace

Worker::Worker(Run& run, std::uint64_t number, std::chrono::milliseconds timeout)
    : run_(run), number_(number), rng_(run.seed * 1000 + number), timeout_(timeout) {
  meet();
}

void Worker::meet() {
  known_ = run_.endpoints.version();
  client_ = std::make_unique<client::Client>(options(run_, number_, timeout_));
}

void Worker::note(const client::Status& status) {
  run_.history.failed(status);
  if (run_.endpoints.version() != known_) {
    meet();
  } else if (status.code == client::Code::unavailable) {
    client_->next_endpoint();
  }
  if (!ending()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void Worker::rest(std::chrono::milliseconds about) {
  if (about.count() == 0) return;
  std::this_thread::sleep_for(
      std::chrono::microseconds(rng_.below(static_cast<std::uint64_t>(about.count()) * 2000)));
}

std::int64_t Worker::grant(std::int64_t seconds) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(seconds);
  while (!ending()) {
    if (const auto granted = call(client::rpc::lease_grant, request)) return granted->id();
  }
  return 0;
}

bool Worker::renew(std::int64_t lease) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  // The stream must be gone before note() may replace the client.
  const auto answer = [&]() -> std::expected<etcdserverpb::LeaseKeepAliveResponse, client::Status> {
    auto stream = client_->open(client::rpc::lease_keep_alive, &request);
    if (!stream) return std::unexpected(stream.error());
    return stream->read(client::Clock::now() + client_->options().command_timeout);
  }();
  if (!answer) note(answer.error());
  return answer && answer->ttl() > 0;
}

}  // namespace quorate::faults
