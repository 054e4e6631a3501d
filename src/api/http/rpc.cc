#include "api/http/rpc.h"

namespace quorate::http {

int http_status(Code code) {
  switch (code) {
    case Code::ok: return 200;
    case Code::cancelled: return 499;
    case Code::invalid_argument:
    case Code::failed_precondition:
    case Code::out_of_range: return 400;
    case Code::deadline_exceeded: return 504;
    case Code::not_found: return 404;
    case Code::already_exists:
    case Code::aborted: return 409;
    case Code::permission_denied: return 403;
    case Code::unauthenticated: return 401;
    case Code::resource_exhausted: return 429;
    case Code::unimplemented: return 501;
    case Code::unavailable: return 503;
    case Code::unknown:
    case Code::internal:
    case Code::data_loss: return 500;
  }
  return 500;
}

Call::Call(CallHost& host, const Method& method, Exchange& exchange)
    : host_(&host), method_(&method), exchange_(&exchange), began_(Clock::now()) {
  host.started(method);
}

Call::~Call() = default;

void Call::settle(Code code) {
  if (std::exchange(settled_, true)) return;
  host_->handled(*method_, code, Clock::now() - began_);
}

void Call::finish(Status status) {
  if (!open()) return;
  settle(status.code);
  done_ = true;
  exchange_->clear_deadline();
  end(status);
  const CallPtr keep(this);  // the stream may hold the last reference
  stream_.reset();
}

bool Call::admits(std::size_t answer) {
  if (method_->server_streams || exchange_->backlog().takes(answer)) return true;
  finish({Code::resource_exhausted, "etcdserver: too many requests"});
  return false;
}

void Call::attach(std::unique_ptr<CallStream> stream) {
  if (open()) stream_ = std::move(stream);
}

void Call::begin(Message message) {
  if (Status refused = host_->admit(*this); !refused.ok()) return finish(std::move(refused));
  method_->call(CallPtr(this), std::move(message));
}

bool Call::begin_stream() {
  if (Status refused = host_->admit(*this); !refused.ok()) {
    finish(std::move(refused));
    return false;
  }
  attach(method_->open(CallPtr(this)));
  return open();
}

void Call::writable() {
  if (stream_) stream_->writable();
}

void Call::deadline() { finish({Code::deadline_exceeded, "context deadline exceeded"}); }

void Call::closed() {
  const CallPtr keep(this);
  settle(Code::cancelled);
  exchange_ = nullptr;
  stream_.reset();
}

}  // namespace quorate::http
