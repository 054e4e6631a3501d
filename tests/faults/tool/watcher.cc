#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "tool/workers.h"

namespace quorate::faults {
namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::seconds kSilence{2};  // with news elsewhere: on to the next endpoint
const std::string kEverything(1, '\0');

Event event_of(const mvccpb::Event& from) {
  Event event;
  event.key = from.kv().key();
  event.put = from.type() == mvccpb::Event::PUT;
  if (!event.put) return event;
  event.value = from.kv().value();
  event.create = from.kv().create_revision();
  event.version = from.kv().version();
  event.lease = from.kv().lease();
  return event;
}

client::Client dial(const Run& run, std::size_t endpoint) {
  client::Options options;
  const auto all = run.endpoints.get();
  options.endpoints = {all[endpoint % all.size()]};
  options.dial_timeout = options.command_timeout = std::chrono::milliseconds(500);
  return client::Client(std::move(options));
}

}  // namespace

Watcher::Watcher(Run& run, EventLog& log, std::uint64_t number)
    : run_(run), log_(log), number_(number), sequence_(log.after()), position_(log.after() + 1) {}

void Watcher::watch() {
  for (std::size_t endpoint = number_; !done(); ++endpoint) {
    client::Client client = dial(run_, endpoint);
    follow(client);
    run_.history.count("watches");
    if (!done()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void Watcher::finish(std::int64_t until, client::Time deadline) {
  deadline_ = deadline;
  until_ = until;
}

bool Watcher::done() const {
  return until_ != 0 && (position_ > until_ || client::Clock::now() > deadline_.load());
}

void Watcher::follow(client::Client& client) {
  auto stream = client.open(client::rpc::watch);
  if (!stream) return;
  pb::WatchRequest request;
  auto& create = *request.mutable_create_request();
  create.set_key(kEverything);
  create.set_range_end(kEverything);
  create.set_start_revision(sequence_.next());
  create.set_fragment(number_ % 2 == 1);
  stream->send(request);
  pb::WatchRequest ask;
  ask.mutable_progress_request();
  auto heard = client::Clock::now();
  while (!done()) {
    const auto response = stream->read(client::Clock::now() + std::chrono::milliseconds(200));
    const auto now = client::Clock::now();
    if (response) {
      heard = now;
      if (!take(*response)) return;
    } else if (response.error().code != client::Code::deadline_exceeded) {
      return;
    } else if (now - heard > kSilence && log_.last() >= sequence_.next()) {
      return;
    } else {
      stream->send(ask);
    }
  }
}

// False: this watch is over.
bool Watcher::take(const pb::WatchResponse& response) {
  const auto check = [&](const std::expected<void, std::string>& told) {
    if (!told) run_.history.violation(fmt::format("watcher {}: {}", number_, told.error()));
    return told.has_value();
  };
  if (response.canceled()) {
    if (response.compact_revision() >= sequence_.next()) {
      run_.history.violation(
          fmt::format("watcher {}: revision {} was compacted before it was told", number_, sequence_.next()));
    }
    return false;
  }
  if (response.events_size() == 0) {
    return response.created() || check(sequence_.progress(response.header().revision()));
  }
  for (int i = 0; i < response.events_size();) {
    const auto revision = response.events(i).kv().mod_revision();
    std::vector<Event> events;
    for (; i < response.events_size() && response.events(i).kv().mod_revision() == revision; ++i) {
      events.push_back(event_of(response.events(i)));
    }
    if (!check(sequence_.take(revision)) || !check(log_.deliver(revision, std::move(events)))) return false;
    position_ = sequence_.next();
  }
  return true;
}

}  // namespace quorate::faults
