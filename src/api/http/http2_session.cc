#include "api/http/http2_session.h"

#include <algorithm>
#include <cstring>

namespace quorate::http {

namespace {

struct CallbacksDeleter {
  void operator()(nghttp2_session_callbacks* c) const { nghttp2_session_callbacks_del(c); }
};
struct OptionDeleter {
  void operator()(nghttp2_option* o) const { nghttp2_option_del(o); }
};

constexpr std::uint8_t keep_alive_mark[8] = {'a', 'l', 'i', 'v', 'e', '?', 0, 0};  // of our own pings
constexpr int forgiven_pings = 2;                                                  // as gRPC's servers do

Http2Stream* stream_of(nghttp2_session* session, std::int32_t id) {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

std::unique_ptr<nghttp2_option, OptionDeleter> make_options(const Limits& limits) {
  nghttp2_option* raw = nullptr;
  nghttp2_option_new(&raw);
  std::unique_ptr<nghttp2_option, OptionDeleter> option(raw);
  nghttp2_option_set_no_auto_window_update(raw, 1);
  nghttp2_option_set_no_closed_streams(raw, 1);
  // etcdctl 3.4 given an endpoint "http://host:port" sends just that as :authority, which the library's check
  // of a request's form refuses. Nothing here trusts that form: a request without method or path finds no
  // handler.
  nghttp2_option_set_no_http_messaging(raw, 1);
  // The library's default (1000 at once, 33 a second) closes the connections of clients that cancel a lot, as
  // every client with short deadlines does. Answering a reset costs microseconds here.
  nghttp2_option_set_stream_reset_rate_limit(raw, limits.reset_burst, limits.reset_rate);
  return option;
}

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Session& me = self(user);
    me.head_open_ = true;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;  // trailers
    const std::int32_t id = frame->hd.stream_id;
    const bool crowded =
        me.hub_.handler->backlog->full() && me.queued_output_ > me.hub_.limits.stream_window / 16;
    if (crowded || me.queued_output_ > me.hub_.limits.max_queued_output) {
      return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    }
    auto stream = me.hub_.streams->take();
    stream->open(me, id);
    stream->slot_ = me.streams_.size();
    nghttp2_session_set_stream_user_data(session, id, stream.get());
    me.streams_.push_back(std::move(stream));
    return 0;
  }

  static int header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                    void* user) {
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;  // a request's trailers carry nothing we use
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr || stream->refused_) return 0;
    if (stream->head_.size() + name_size + value_size > self(user).hub_.limits.max_header_bytes) {
      stream->refused_ = true;
      return 0;
    }
    stream->add_header({reinterpret_cast<const char*>(name), name_size},
                       {reinterpret_cast<const char*>(value), value_size});
    return 0;
  }

  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Session& me = self(user);
    switch (frame->hd.type) {
      case NGHTTP2_SETTINGS: me.greeted_ = true; return 0;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
          me.on_client_ping();
        } else if (me.leaving_ && std::memcmp(frame->ping.opaque_data, keep_alive_mark, 8) != 0) {
          // One round trip after the notice: the client's last streams have arrived.
          nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session),
                                NGHTTP2_NO_ERROR, nullptr, 0);
        }
        return 0;
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA: break;
      default: return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS) me.head_open_ = false;
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    // Dispatched on the head, not on the end of the request: bidirectional streams never end first.
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) me.dispatch(*stream);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) me.end_request(*stream);
    return 0;
  }

  static int data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                        std::size_t size, void*) {
    if (Http2Stream* stream = stream_of(session, id);
        stream != nullptr && stream->receiver_ && !stream->finished_) {
      const ReceiverPtr receiver = stream->receiver_;
      receiver->body({reinterpret_cast<const char*>(data), size});
    }
    return nghttp2_session_consume(session, id, size);  // what a receiver keeps, it bounds itself
  }

  static int stream_closed(nghttp2_session* session, std::int32_t id, std::uint32_t, void* user) {
    if (Http2Stream* stream = stream_of(session, id)) self(user).close_stream(*stream);
    return 0;
  }

  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) self(user).early_pings_ = 0;
    const bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                      (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!ends) return 0;
    // Answered before the request ended: tell the client to stop sending (RFC 9113 §8.1).
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream != nullptr && !stream->request_ended_) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static nghttp2_session_callbacks* table() {
    static const std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter> callbacks = [] {
      nghttp2_session_callbacks* raw = nullptr;
      nghttp2_session_callbacks_new(&raw);
      nghttp2_session_callbacks_set_on_begin_headers_callback(raw, begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(raw, header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(raw, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw, data_chunk);
      nghttp2_session_callbacks_set_on_stream_close_callback(raw, stream_closed);
      nghttp2_session_callbacks_set_on_frame_send_callback(raw, frame_sent);
      return std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter>(raw);
    }();
    return callbacks.get();
  }
};

Http2Session::Http2Session(Hub& hub, Connection& connection)
    : hub_(hub), connection_(connection), heard_(hub.now) {
  const auto options = make_options(hub.limits);
  nghttp2_session_server_new2(&session_, Callbacks::table(), this, options.get());
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, hub.limits.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, hub.limits.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(hub.limits.max_header_bytes)},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<std::int32_t>(hub.limits.connection_window));
}

Http2Session::~Http2Session() {
  // Receivers are told while their streams exist; what they submit then goes nowhere.
  while (!streams_.empty()) close_stream(*streams_.back());
  nghttp2_session_del(session_);
}

bool Http2Session::received(std::string_view data) {
  heard_ = hub_.now;
  asked_ = Clock::time_point::max();
  const auto n =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
  return n == static_cast<ssize_t>(data.size());
}

bool Http2Session::produce(std::string& out, std::size_t about) {
  while (out.size() < about) {
    const std::uint8_t* data = nullptr;
    const auto n = nghttp2_session_mem_send(session_, &data);
    if (n < 0) return false;
    if (n == 0) break;
    out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
  }
  for (std::size_t i = 0; i < to_tell_.size(); ++i) {  // a receiver may close other streams meanwhile
    Http2Stream* stream = to_tell_[i];
    if (stream == nullptr) continue;
    stream->telling_ = false;
    if (const ReceiverPtr receiver = stream->receiver_; receiver && !stream->finished_) receiver->writable();
  }
  to_tell_.clear();
  return true;
}

bool Http2Session::over() const {
  if (ending_) return nghttp2_session_want_write(session_) == 0;
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void Http2Session::dispatch(Http2Stream& stream) {
  if (stream.refused_) {
    static constexpr Field plain[] = {{"content-length", "0", true}};
    return stream.respond(431, plain, true);
  }
  hub_.handler->handle(stream);
}

void Http2Session::end_request(Http2Stream& stream) {
  stream.request_ended_ = true;
  if (const ReceiverPtr receiver = stream.receiver_; receiver && !stream.finished_) receiver->body_end();
}

void Http2Session::close_stream(Http2Stream& stream) {
  nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
  if (stream.telling_) std::ranges::replace(to_tell_, &stream, nullptr);
  queued_output_ -= stream.queued_;
  stream.unqueued(stream.queued_);
  auto owned = std::move(streams_[stream.slot_]);
  if (stream.slot_ + 1 != streams_.size()) {
    streams_[stream.slot_] = std::move(streams_.back());
    streams_[stream.slot_]->slot_ = stream.slot_;
  }
  streams_.pop_back();
  owned->session_ = nullptr;  // calls of the receiver go nowhere from here on
  if (const ReceiverPtr receiver = std::move(owned->receiver_)) receiver->closed();
  hub_.streams->give(std::move(owned));
}

// A client that pings faster than allowed, while nothing is sent to it, is told why it has to go; gRPC's
// clients know the words and slow down (grpc/proposal A8).
void Http2Session::on_client_ping() {
  const auto before = std::exchange(client_ping_, hub_.now);
  if (hub_.limits.ping_min_time.count() == 0 || hub_.now - before >= hub_.limits.ping_min_time) return;
  if (++early_pings_ <= forgiven_pings || ending_) return;
  static constexpr std::string_view reproach = "too_many_pings";
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_ENHANCE_YOUR_CALM, reinterpret_cast<const std::uint8_t*>(reproach.data()),
                        reproach.size());
  ending_ = true;
  changed();
}

// Finds out whether a client that says nothing is still there.
void Http2Session::keep_alive(Clock::time_point now) {
  const auto& limits = hub_.limits;
  if (limits.ping_interval.count() == 0 || ending_) return;
  if (asked_ != Clock::time_point::max()) {
    ending_ = now - asked_ > limits.ping_timeout;
  } else if (now - heard_ > limits.ping_interval) {
    asked_ = now;
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, keep_alive_mark);
    changed();
  }
}

// Answers that nobody takes, though the connection lives: their client gave no window.
void Http2Session::drop_unread(Clock::time_point now) {
  if (queued_output_ == 0) return;
  const auto patience = hub_.patience();
  for (const auto& stream : streams_) {
    if (!stream->finished_ || stream->queued_ == 0 || now - stream->progress_ <= patience) continue;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_CANCEL);
    changed();
  }
}

void Http2Session::tick(Clock::time_point now) {
  keep_alive(now);
  drop_unread(now);
  if (now < next_deadline_) return;
  next_deadline_ = Clock::time_point::max();
  std::vector<ReceiverPtr> due;
  for (const auto& stream : streams_) {
    if (stream->deadline_ <= now) {
      stream->clear_deadline();
      if (stream->receiver_) due.push_back(stream->receiver_);
    } else {
      next_deadline_ = std::min(next_deadline_, stream->deadline_);
    }
  }
  for (const auto& receiver : due) receiver->deadline();
}

void Http2Session::begin_shutdown() {
  if (std::exchange(leaving_, true)) return;
  nghttp2_submit_shutdown_notice(session_);
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  changed();
}

std::unique_ptr<Session> make_http2_session(Hub& hub, Connection& connection) {
  return std::make_unique<Http2Session>(hub, connection);
}

}  // namespace quorate::http
