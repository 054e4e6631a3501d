// The calls of a connection: from nghttp2's streams to their handlers.
#include <algorithm>
#include <array>
#include <cstring>

#include <boost/asio/post.hpp>

#include "client/connection_impl.h"

namespace quorate::client {
namespace {

nghttp2_nv field(std::string_view name, std::string_view value, std::uint8_t extra = 0) {
  // The memory outlives the frame (literals, the connection's own strings) unless `extra` says otherwise.
  const auto flags = static_cast<std::uint8_t>(NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          extra != 0 ? static_cast<std::uint8_t>(NGHTTP2_NV_FLAG_NONE) : flags};
}

std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

Call* Connection::Impl::take() {
  if (free.empty()) {
    calls.push_back(std::make_unique<Call>(static_cast<std::uint32_t>(calls.size() + 1)));
    free.push_back(calls.back().get());
  }
  Call* call = free.back();
  free.pop_back();
  return call;
}

void Connection::Impl::recycle(Call* call) {
  call->reset();
  free.push_back(call);
}

void Connection::Impl::end(Call* call) {
  live[call->place] = live.back();
  live[call->place]->place = call->place;
  live.pop_back();
  CallHandler* handler = call->handler;
  const Status status = std::move(call->status);
  recycle(call);
  if (handler) handler->on_end(status);
}

CallId Connection::Impl::start(std::string_view path, std::string_view frames, bool half_close,
                               CallHandler& handler, const Metadata& metadata) {
  Call* call = take();
  call->handler = &handler;
  call->out.assign(frames);
  call->half_close = half_close;
  call->place = live.size();
  live.push_back(call);
  if (!is_open) {
    call->status = Status{Code::unavailable, "no connection to " + authority, false};
    deliver_losses();
    return call->id();
  }
  std::array<nghttp2_nv, 16> fields{};
  std::size_t count = 0;
  for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{":method", "POST"},
                                    {":scheme", tls ? "https" : "http"},
                                    {":path", path},
                                    {":authority", authority},
                                    {"content-type", "application/grpc"},
                                    {"te", "trailers"}}) {
    fields[count++] = field(name, value);
  }
  for (const auto& [name, value] : metadata) {
    if (count < fields.size()) fields[count++] = field(name, value, 1);
  }
  nghttp2_data_provider body{};
  body.source.ptr = call;
  body.read_callback = &read_body;
  call->stream = nghttp2_submit_request(session, nullptr, fields.data(), count, &body, call);
  if (call->stream < 0) fail(nghttp2_strerror(call->stream));  // stream numbers used up, or no memory
  flush_soon();
  return call->id();
}

// Null for a call that has ended.
Call* Connection::Impl::find(CallId id) {
  const auto index = static_cast<std::uint64_t>(id) & 0xffffffff;
  if (index == 0 || index > calls.size()) return nullptr;
  Call* call = calls[index - 1].get();
  return call->id() == id ? call : nullptr;
}

void Connection::Impl::send(CallId id, std::string_view frames, bool half_close) {
  Call* call = is_open ? find(id) : nullptr;
  if (!call) return;
  if (call->sent > 0) {
    call->out.erase(0, call->sent);
    call->sent = 0;
  }
  call->out.append(frames);
  call->half_close = call->half_close || half_close;
  if (call->deferred) {
    call->deferred = false;
    nghttp2_session_resume_data(session, call->stream);
  }
  flush_soon();
}

void Connection::Impl::cancel(CallId id) {
  Call* call = find(id);
  if (!call) return;
  call->handler = nullptr;  // of a lost connection too, whose calls wait for the loop to tell them
  if (!is_open) return;
  nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
  flush_soon();
}

void Connection::Impl::keep_alive(std::chrono::nanoseconds period, std::chrono::nanoseconds patience) {
  heard = false;
  timer.expires_after(period);
  timer.async_wait([weak = weak_from_this(), period, patience](error_code error) {
    const auto self = weak.lock();
    if (!self || error || !self->is_open) return;
    if (self->heard) return self->keep_alive(period, patience);
    nghttp2_submit_ping(self->session, NGHTTP2_FLAG_NONE, nullptr);
    self->flush();
    if (self->is_open) self->await_sign_of_life(period, patience);
  });
}

void Connection::Impl::await_sign_of_life(std::chrono::nanoseconds period,
                                          std::chrono::nanoseconds patience) {
  timer.expires_after(patience);
  timer.async_wait([weak = weak_from_this(), period, patience](error_code error) {
    const auto self = weak.lock();
    if (!self || error || !self->is_open) return;
    if (!self->heard) return self->fail("no answer to keep-alive");
    self->keep_alive(period, patience);
  });
}

ssize_t Connection::Impl::read_body(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room,
                                    std::uint32_t* flags, nghttp2_data_source* source, void*) {
  auto* call = static_cast<Call*>(source->ptr);
  const auto n = std::min(room, call->out.size() - call->sent);
  std::memcpy(to, call->out.data() + call->sent, n);
  call->sent += n;
  if (call->sent == call->out.size()) {
    if (call->half_close) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (n == 0) {
      call->deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
  }
  return static_cast<ssize_t>(n);
}

int Connection::Impl::on_header(nghttp2_session* session, const nghttp2_frame* frame,
                                const std::uint8_t* name_data, std::size_t name_size,
                                const std::uint8_t* value_data, std::size_t value_size, std::uint8_t, void*) {
  auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
  if (!call) return 0;
  const auto header = text(name_data, name_size);
  const auto value = text(value_data, value_size);
  if (header == "grpc-status") {
    call->has_status = true;
    call->status.code = code_from_trailer(value);
  } else if (header == "grpc-message") {
    call->status.message = percent_decode(value);
  } else if (header == ":status") {
    call->http_status = value == "200" ? 200 : std::atoi(std::string(value).c_str());
  }
  return 0;
}

int Connection::Impl::on_data(nghttp2_session* session, std::uint8_t, std::int32_t stream,
                              const std::uint8_t* data, std::size_t size, void*) {
  auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
  if (!call || !call->handler || call->http_status != 200) return 0;
  const bool good = call->in.feed(text(data, size), [&](std::string_view message) {
    if (call->handler) call->handler->on_message(message);
  });
  if (!good) nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_INTERNAL_ERROR);
  return 0;
}

int Connection::Impl::on_stream_close(nghttp2_session* session, std::int32_t stream, std::uint32_t error,
                                      void* self_pointer) {
  auto* self = static_cast<Impl*>(self_pointer);
  auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
  if (!call) return 0;
  if (!call->has_status) call->status = reason(*call, error);
  self->end(call);
  return 0;
}

// The server has said its last word while our side of the stream is open (a refused stream, a cancelled
// watch): without this the stream would stay.
int Connection::Impl::on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* self_pointer) {
  if (frame->hd.type == NGHTTP2_SETTINGS) static_cast<Impl*>(self_pointer)->finish_connect({});
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || frame->hd.stream_id == 0) return 0;
  auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
  if (call && !call->half_close) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
  }
  return 0;
}

// A request that never left, because the server is going away or it was cancelled first.
int Connection::Impl::on_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int,
                                  void* self_pointer) {
  if (frame->hd.type != NGHTTP2_HEADERS || nghttp2_session_find_stream(session, frame->hd.stream_id))
    return 0;
  auto* self = static_cast<Impl*>(self_pointer);
  for (Call* call : self->live) {
    if (call->stream != frame->hd.stream_id) continue;
    call->status = Status{Code::unavailable, self->authority + " takes no more requests", false};
    self->end(call);
    break;
  }
  return 0;
}

Status Connection::Impl::reason(const Call& call, std::uint32_t error) {
  if (error == NGHTTP2_REFUSED_STREAM) return {Code::unavailable, "the server refused the request", false};
  if (error == NGHTTP2_CANCEL) return {Code::cancelled, "the server cancelled the request"};
  if (call.http_status != 0 && call.http_status != 200) {
    return {code_from_http(call.http_status), "the server answered HTTP " + std::to_string(call.http_status) +
                                                  " instead of gRPC: is this the client port?"};
  }
  return {error == NGHTTP2_NO_ERROR ? Code::internal : Code::unavailable,
          std::string("the answer broke off: ") + nghttp2_http2_strerror(error)};
}

}  // namespace quorate::client
