#include "client/client.h"

#include <algorithm>

#include "client/frame.h"

namespace quorate::client {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseBetweenRounds{50};

// Whether another endpoint may do better.
bool retriable(const Status& status, bool repeatable) {
  if (status.code != Code::unavailable) return false;
  if (repeatable || !status.may_have_happened) return true;
  // The server tells that it did not even propose it.
  return status.message == "etcdserver: no leader" || status.message == "etcdserver: not leader";
}

}  // namespace

RawStream::~RawStream() {
  if (!end_ && call_ != CallId::none) connection_->cancel(call_);
}

void RawStream::start(std::string_view path, std::string_view frames, bool half_close,
                      const Metadata& metadata) {
  call_ = connection_->start(path, frames, half_close, *this, metadata);
}
void RawStream::send(std::string_view message) { connection_->send(call_, frame(message), false); }
void RawStream::half_close() { connection_->send(call_, {}, true); }

std::optional<std::string> RawStream::poll() {
  if (inbox_.empty()) return std::nullopt;
  std::string message = std::move(inbox_.front());
  inbox_.pop_front();
  return message;
}

std::expected<std::string, Status> RawStream::read(Time deadline) {
  loop_.run_until([this] { return ready(); }, deadline);
  if (auto message = poll()) return std::move(*message);
  if (end_) return std::unexpected(*end_);
  return std::unexpected(Status{Code::deadline_exceeded, "no answer in time"});
}

Client::Client(Options options) : options_(std::move(options)) {}

void Client::next_endpoint() {
  connection_.reset();
  current_ = (current_ + 1) % options_.endpoints.size();
}

// Connects to the current endpoint, or else to the others in turn, once round.
Status Client::connect(Time deadline) {
  if (connection_ && connection_->open()) return {};
  Status last;
  for (std::size_t tried = 0; tried < options_.endpoints.size(); ++tried) {
    std::optional<Status> result;
    connection_ = std::make_shared<Connection>(loop_);
    const auto timeout = std::min<std::chrono::nanoseconds>(options_.dial_timeout, deadline - Clock::now());
    connection_->connect(endpoint(), timeout, [&result](const Status& status) { result = status; });
    loop_.run_until([&] { return result.has_value(); });
    if (result && result->ok()) {
      connection_->keep_alive(options_.keep_alive_time, options_.keep_alive_timeout);
      return {};
    }
    last = result.value_or(Status{Code::unavailable, "no connection", false});
    next_endpoint();
    if (Clock::now() >= deadline) break;
  }
  return last;
}

std::expected<std::string, Status> Client::attempt(std::string_view path, const std::string& request,
                                                   Time deadline) {
  if (Status failed = connect(deadline); !failed.ok()) return std::unexpected(std::move(failed));
  RawStream stream(loop_, connection_);
  stream.start(path, frame(request), true, options_.metadata);
  auto answer = stream.read(deadline);
  if (!answer) {
    if (answer.error().ok()) return std::unexpected(Status{Code::internal, "the server sent no answer"});
    if (answer.error().code == Code::deadline_exceeded) {
      answer.error().message = endpoint().text + ": " + answer.error().message;
    }
    return answer;
  }
  // The status comes in the trailers behind the message.
  const auto end = stream.read(deadline);
  if (!end && !end.error().ok()) return std::unexpected(end.error());
  return answer;
}

std::expected<std::string, Status> Client::call_bytes(std::string_view path, const std::string& request,
                                                      bool repeatable) {
  const Time deadline = Clock::now() + options_.command_timeout;
  std::size_t attempts = 0;
  for (;;) {
    auto answer = attempt(path, request, deadline);
    if (!answer && answer.error().code == Code::deadline_exceeded) next_endpoint();
    if (answer || !retriable(answer.error(), repeatable)) return answer;
    next_endpoint();
    const bool round_done = ++attempts % options_.endpoints.size() == 0;
    // Nobody listens at any endpoint: waiting rarely helps a command line, so say so at once.
    if (round_done && answer.error().message.starts_with("cannot connect")) return answer;
    if (Clock::now() + kPauseBetweenRounds >= deadline) return answer;
    if (round_done) loop_.run_until([] { return false; }, Clock::now() + kPauseBetweenRounds);
  }
}

std::expected<std::unique_ptr<RawStream>, Status> Client::open_bytes(std::string_view path,
                                                                     std::optional<std::string> request) {
  if (Status failed = connect(Clock::now() + options_.command_timeout); !failed.ok()) {
    return std::unexpected(std::move(failed));
  }
  auto stream = std::make_unique<RawStream>(loop_, connection_);
  stream->start(path, request ? frame(*request) : std::string(), request.has_value(), options_.metadata);
  return stream;
}

}  // namespace quorate::client
