#include "api/etcd/watch.h"

#include <algorithm>

#include <boost/asio/post.hpp>

namespace quorate::api::etcd {

namespace pb = etcdserverpb;

namespace {

constexpr std::size_t share = 64U << 10U;    // bytes a watcher may send before the next one's turn
constexpr int turns = 32;                    // of watchers, before the other work of the reactor
constexpr std::size_t rows_a_turn = 20'000;  // looked at or given, before that: some ten milliseconds
constexpr std::int64_t no_watcher = -1;
constexpr std::string_view everything_from = {"\0", 1};

// Fields of WatchResponse behind the header (1) and the id (2).
constexpr unsigned created_field = 3, canceled_field = 4, compact_revision_field = 5, reason_field = 6,
                   fragment_field = 7, events_field = 11;

}  // namespace

void WatchService::add_to(Router& router) {
  router.bidirectional<pb::WatchRequest, pb::WatchResponse>(
      "/etcdserverpb.Watch/Watch",
      [this](const CallPtr& call) { return std::make_unique<WatchStream>(*this, *call); });
}

void WatchService::wake(WatchStream& stream) {
  if (std::exchange(stream.awake_, true)) return;
  awake_.push_back(&stream);
  if (std::exchange(posted_, true)) return;
  boost::asio::post(core_.io(), [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) run();
  });
}

// A large commit concerns many streams, and what they tell of it may be much: others get their turn in
// between.
void WatchService::run() {
  posted_ = false;
  std::size_t rows = 0;
  for (std::size_t n = awake_.size(); n > 0 && !awake_.empty() && rows < rows_a_turn; --n) {
    WatchStream& stream = *awake_.front();
    awake_.pop_front();
    stream.awake_ = false;
    rows += stream.pump();
  }
  if (awake_.empty()) {
    shared_number_ = 0;
    shared_events_ = {};
  } else if (!std::exchange(posted_, true)) {
    boost::asio::post(core_.io(), [this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) run();
    });
  }
}

void WatchService::arm() {
  if (armed_) return;
  armed_ = true;
  timer_.expires_after(core_.settings().progress_interval);
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](const auto& cancelled) {
    if (cancelled || alive.expired()) return;
    armed_ = false;
    for (WatchStream* stream : std::vector<WatchStream*>(streams_.begin(), streams_.end())) {
      if (streams_.contains(stream)) stream->remind();
    }
    if (!streams_.empty()) arm();
  });
}

WatchStream::WatchStream(WatchService& service, http::Call& call) : service_(service), call_(&call) {
  service_.streams_.insert(this);
  ++service_.core_.counters.watch_streams;
}

WatchStream::~WatchStream() {
  service_.streams_.erase(this);
  --service_.core_.counters.watch_streams;
  std::erase(service_.awake_, this);
  for (const auto& [id, watcher] : watchers_) hub().remove(watcher.cursor);
}

void WatchStream::message(Message message) {
  // Answers to requests wait for nobody's room, so who only asks and never reads is ended here.
  if (call_->queued() > 4 * service_.core_.settings().max_request_bytes)
    return call_->finish(fault::too_many_requests);
  pb::WatchRequest request;
  if (!parse(*call_, message, request)) return;
  switch (request.request_union_case()) {
    case pb::WatchRequest::kCreateRequest: return create(request.create_request());
    case pb::WatchRequest::kCancelRequest: return cancel(request.cancel_request().watch_id());
    case pb::WatchRequest::kProgressRequest: progress_wanted_ = true; return service_.wake(*this);
    case pb::WatchRequest::REQUEST_UNION_NOT_SET: return;  // of a later version of the API: not ours
  }
}

void WatchStream::send_response(std::string_view fields, std::int64_t id, std::int64_t revision) {
  Front front = service_.core_.front(revision);
  front.field(2, static_cast<std::uint64_t>(id));
  call_->send(front.view(), Bytes::copy(fields));
}

void WatchStream::refuse(const std::string& reason) {
  std::string fields;
  append_field(fields, created_field, 1);
  append_field(fields, canceled_field, 1);
  append_bytes(fields, reason_field, reason);
  send_response(fields, no_watcher, service_.core_.model().revision());
}

void WatchStream::create(const pb::WatchCreateRequest& request) {
  models::etcd::WatchSpec spec;
  spec.key = request.key().empty() ? std::string(everything_from) : request.key();
  spec.range_end = request.range_end();
  if (!spec.range_end.empty() && spec.range_end != everything_from && spec.key >= spec.range_end) {
    return refuse("mvcc: watcher range is empty");
  }
  if (request.start_revision() < 0) return refuse("mvcc: the start revision is negative");
  if (watchers_.size() >= service_.core_.settings().max_watchers)
    return refuse("etcdserver: too many watchers on one stream");
  std::int64_t id = request.watch_id();
  if (id == 0) {
    while (watchers_.contains(next_id_)) ++next_id_;
    id = next_id_++;
  } else if (watchers_.contains(id)) {
    return refuse("mvcc: duplicate watch ID provided on the WatchStream");
  }
  spec.start_revision = request.start_revision();
  spec.prev_kv = request.prev_kv();
  for (const int filter : request.filters()) {
    if (filter == pb::WatchCreateRequest::NOPUT) spec.no_put = true;
    if (filter == pb::WatchCreateRequest::NODELETE) spec.no_delete = true;
  }
  // `created` goes out before any event: events are taken by the pump only.
  std::string fields;
  append_field(fields, created_field, 1);
  send_response(fields, id, service_.core_.model().revision());
  Watcher watcher;
  watcher.start_revision = request.start_revision();
  watcher.progress = request.progress_notify();
  watcher.fragment = request.fragment();
  watcher.ready = true;  // there may be history to send
  watcher.cursor = hub().add(std::move(spec), [this, id] {
    const auto at = watchers_.find(id);
    if (at == watchers_.end() || std::exchange(at->second.ready, true)) return;
    ready_.push_back(id);
    service_.wake(*this);
  });
  watchers_.emplace(id, watcher);
  ready_.push_back(id);
  service_.wake(*this);
  if (watcher.progress) service_.arm();
}

void WatchStream::cancel(std::int64_t id) {
  const auto at = watchers_.find(id);
  if (at == watchers_.end()) return;  // as etcd: no answer
  hub().remove(at->second.cursor);
  watchers_.erase(at);
  std::erase(ready_, id);
  std::string fields;
  append_field(fields, canceled_field, 1);
  send_response(fields, id, service_.core_.model().revision());
  if (progress_wanted_) service_.wake(*this);
}

std::size_t WatchStream::pump() {
  std::size_t rows = 0;
  for (int i = 0; i < turns && rows < rows_a_turn && !ready_.empty() && call_->has_room(); ++i) {
    const std::int64_t id = ready_.front();
    ready_.pop_front();
    if (const auto at = watchers_.find(id); at != watchers_.end()) rows += take(at);
  }
  if (!call_->has_room()) return rows;  // writable() comes back here
  if (!ready_.empty()) {
    service_.wake(*this);
  } else if (progress_wanted_ && answer_progress()) {
    progress_wanted_ = false;
  }
  return rows;
}

std::size_t WatchStream::take(Watchers::iterator at) {
  const std::int64_t id = at->first;
  Watcher& watcher = at->second;
  watcher.ready = false;
  const auto batch = hub().poll(watcher.cursor, share);
  if (!batch.events.empty()) {
    watcher.told = true;
    service_.core_.counters.watch_events += batch.events.size();
    send_events(id, watcher.fragment, batch);
  }
  if (batch.compact_revision != 0) {
    std::string fields;
    append_field(fields, canceled_field, 1);
    append_field(fields, compact_revision_field, static_cast<std::uint64_t>(batch.compact_revision));
    send_response(fields, id, 0);  // as etcd: this one answer carries no revision
    hub().remove(watcher.cursor);
    watchers_.erase(at);
    return batch.rows;
  }
  if (batch.more) {
    watcher.ready = true;
    ready_.push_back(id);
  }
  return batch.rows;
}

Bytes WatchStream::whole(const models::etcd::WatchBatch& batch) {
  if (batch.same != 0 && batch.same == service_.shared_number_) return service_.shared_events_;
  std::string events;
  for (const Bytes& event : batch.events) append_bytes(events, events_field, event.view());
  Bytes bytes = Bytes::adopt(std::move(events));
  if (batch.same != 0 && !service_.awake_.empty()) {
    service_.shared_number_ = batch.same;
    service_.shared_events_ = bytes;
  }
  return bytes;
}

// Events of one revision stay in one response, unless the client puts fragments together itself.
void WatchStream::send_events(std::int64_t id, bool fragment, const models::etcd::WatchBatch& batch) {
  const std::size_t limit = service_.core_.settings().max_request_bytes;
  const std::int64_t revision = service_.core_.model().revision();
  const auto flush = [&](Bytes body) {
    Front front = service_.core_.front(revision);
    front.field(2, static_cast<std::uint64_t>(id));
    call_->send(front.view(), std::move(body));
  };
  if (!fragment) return flush(whole(batch));
  std::string events;
  for (const Bytes& event : batch.events) {
    if (!events.empty() && events.size() + event.size() > limit) {
      std::string part;
      append_field(part, fragment_field, 1);
      part += events;
      flush(Bytes::adopt(std::move(part)));
      events.clear();
    }
    append_bytes(events, events_field, event.view());
  }
  flush(Bytes::adopt(std::move(events)));
}

bool WatchStream::in_future(const Watcher& watcher) const {
  return watcher.start_revision > service_.core_.model().revision();
}

// Everything up to the current revision was sent to every watcher, or there is no answer yet.
bool WatchStream::answer_progress() {
  for (const auto& [id, watcher] : watchers_) {
    if (in_future(watcher) || !hub().synced(watcher.cursor)) return false;
  }
  send_response({}, no_watcher, service_.core_.model().revision());
  return true;
}

void WatchStream::remind() {
  for (auto& [id, watcher] : watchers_) {
    if (std::exchange(watcher.told, false) || !watcher.progress || watcher.ready || in_future(watcher))
      continue;
    if (!hub().synced(watcher.cursor)) continue;
    if (!call_->has_room()) return;
    send_response({}, id, service_.core_.model().revision());
  }
}

}  // namespace quorate::api::etcd
