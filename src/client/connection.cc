#include "client/connection.h"

#include <array>
#include <cstring>
#include <optional>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>

#include "client/frame.h"
#include "tls/channel.h"

namespace quorate::client {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kReadBuffer = 256U << 10U;
constexpr std::size_t kWriteBatch = 256U << 10U;  // bytes serialised before they are written
constexpr std::int32_t kStreamWindow = 4 << 20;   // a snapshot or a long range flows without waiting
constexpr std::int32_t kConnectionWindow = 16 << 20;

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

struct Call {
  explicit Call(std::uint32_t number) : index(number) {}
  std::uint32_t index;           // in Impl::calls, from 1
  std::uint32_t generation = 0;  // tells the handle of this use from those of earlier ones
  std::int32_t stream = 0;
  CallHandler* handler = nullptr;  // null: cancelled
  std::size_t place = 0;           // in Impl::live
  std::string out;
  std::size_t sent = 0;
  bool half_close = false;
  bool deferred = false;
  bool has_status = false;
  int http_status = 0;
  Status status;
  Deframer in;

  [[nodiscard]] CallId id() const { return static_cast<CallId>(std::uint64_t{generation} << 32 | index); }
  void reset() {
    ++generation;
    stream = 0;
    handler = nullptr;
    out.clear();
    sent = 0;
    half_close = deferred = has_status = false;
    http_status = 0;
    status.code = Code::ok;
    status.message.clear();
    status.may_have_happened = true;
    in.clear();
  }
};

}  // namespace

struct Connection::Impl : std::enable_shared_from_this<Connection::Impl> {
  explicit Impl(asio::io_context& context)
      : io(context), socket(context), resolver(context), timer(context) {}
  ~Impl() { nghttp2_session_del(session); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  asio::io_context& io;
  tcp::socket socket;
  tcp::resolver resolver;
  asio::steady_timer timer;
  nghttp2_session* session = nullptr;
  std::string authority;
  std::shared_ptr<tls::Context> tls_context;
  std::optional<tls::Channel> tls;
  std::string plain;  // decrypted
  std::function<void(Status)> connected;
  std::vector<char> read_buffer;
  std::string out;  // serialised, not yet written
  std::size_t out_sent = 0;
  bool writing = false;  // waiting for the socket to take more
  bool flush_posted = false;
  bool receiving = false;  // in nghttp2's callbacks: what they send leaves when they are through
  bool is_open = false;
  std::string lost_because;
  bool heard = true;                         // since the last keep-alive
  std::vector<std::unique_ptr<Call>> calls;  // every Call ever made
  std::vector<Call*> free;
  std::vector<Call*> live;  // a call knows its place; needed only when the connection fails

  // ---- connecting

  void connect(const Endpoint& endpoint, std::chrono::nanoseconds timeout, std::function<void(Status)> done) {
    authority = endpoint.authority();
    tls_context = endpoint.tls;
    if (tls_context) tls.emplace(*tls_context, endpoint.host);
    connected = std::move(done);
    timer.expires_after(timeout);
    timer.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (self && !error) self->finish_connect("no answer within the dial timeout");
    });
    resolver.async_resolve(
        endpoint.host, endpoint.port,
        [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
          if (error) return self->finish_connect(error.message());
          asio::async_connect(self->socket, found, [self](error_code failed, const tcp::endpoint&) {
            if (failed) return self->finish_connect(failed.message());
            self->introduce();
          });
        });
  }

  // The kernel takes connections for a process that is frozen or hangs, so that there is one means little
  // before the server's SETTINGS are here.
  void introduce() {
    if (!connected) return;
    socket.set_option(tcp::no_delay(true));
    socket.non_blocking(true);
    begin_session();
    is_open = true;
    read_buffer.resize(kReadBuffer);
    if (tls) {  // begins the handshake
      if (const auto failure = decrypt({}); !failure.empty()) return fail(failure);
    }
    read();
    flush();
  }

  void finish_connect(const std::string& failure) {
    if (!connected) return;
    timer.cancel();
    auto done = std::exchange(connected, nullptr);
    if (!failure.empty()) {
      error_code ignored;
      is_open = false;
      socket.close(ignored);
      resolver.cancel();
      return done(Status{Code::unavailable, "cannot connect to " + authority + ": " + failure, false});
    }
    done(Status{});
  }

  void begin_session() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &on_stream_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, &on_not_sent);
    nghttp2_session_client_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const std::array<nghttp2_settings_entry, 2> settings = {
        nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                               static_cast<std::uint32_t>(kStreamWindow)}};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  }

  // ---- bytes in and out

  void read() {
    socket.async_read_some(asio::buffer(read_buffer),
                           [self = shared_from_this()](error_code error, std::size_t n) {
                             if (!self->is_open) return;
                             if (error) return self->fail(self->broken(error));
                             self->heard = true;
                             self->received({self->read_buffer.data(), n});
                             if (self->is_open) self->read();
                           });
  }

  void received(std::string_view bytes) {
    if (tls) {
      if (const auto failure = decrypt(bytes); !failure.empty()) {
        flush();  // the alert that says why
        return fail(failure);
      }
      bytes = plain;
    } else if (connected && tls::looks_like_tls(bytes)) {
      return fail("it speaks TLS; use https://" + authority);
    }
    if (!bytes.empty()) {
      receiving = true;
      const auto used = nghttp2_session_mem_recv(session, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                 bytes.size());
      receiving = false;
      if (used < 0) return fail(nghttp2_strerror(static_cast<int>(used)));
    }
    if (!is_open) return;
    flush();
    if (is_open && !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session)) {
      fail("the server is going away");
    }
  }

  // Into `plain`. What went wrong, or nothing.
  std::string decrypt(std::string_view bytes) {
    plain.clear();
    const auto done = tls->receive(bytes, plain);
    return done ? std::string() : done.error();
  }

  [[nodiscard]] std::string broken(const error_code& error) const {
    if (error != asio::error::eof) return error.message();
    if (tls) return tls->hang_up();
    return connected ? "the server closed the connection at once; does it speak TLS (https://)?"
                     : "the server closed the connection";
  }

  // Serialises what nghttp2 has to say and hands it to the socket, without a detour through the loop unless
  // the socket is full.
  void flush() {
    if (writing || !is_open) return;
    for (;;) {
      if (out_sent == out.size()) {
        out.clear();
        out_sent = 0;
        if (!serialise()) return;
        if (out.empty()) return;
      }
      error_code error;
      const auto n = socket.write_some(asio::buffer(out.data() + out_sent, out.size() - out_sent), error);
      if (error == asio::error::would_block || error == asio::error::try_again) return wait_writable();
      if (error) return fail(error.message());
      out_sent += n;
    }
  }

  bool serialise() {
    while (out.size() < kWriteBatch) {
      const std::uint8_t* bytes = nullptr;
      const auto n = nghttp2_session_mem_send(session, &bytes);
      if (n < 0) {
        fail(nghttp2_strerror(static_cast<int>(n)));
        return false;
      }
      if (n == 0) break;
      out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
    }
    if (tls) {
      tls->send(out);
      out.assign(tls->output());
      tls->output_taken();
    }
    return true;
  }

  void wait_writable() {
    writing = true;
    socket.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code error) {
      self->writing = false;
      if (!self->is_open) return;
      if (error) return self->fail(error.message());
      self->flush();
    });
  }

  void flush_soon() {
    if (flush_posted || receiving || !is_open) return;
    flush_posted = true;
    asio::post(io, [self = shared_from_this()] {
      self->flush_posted = false;
      self->flush();
    });
  }

  void fail(const std::string& why) {
    if (!is_open) return;
    if (connected) return finish_connect(why);
    is_open = false;
    error_code ignored;
    socket.close(ignored);
    timer.cancel();
    lost_because = "connection to " + authority + " lost: " + why;
    deliver_losses();
  }

  // Ends every call of a dead connection: from the loop, not from within whatever nghttp2 callback or caller
  // we are in.
  void deliver_losses() {
    asio::post(io, [self = shared_from_this()] {
      while (!self->live.empty()) {
        Call* call = self->live.back();
        if (call->status.ok()) call->status = Status{Code::unavailable, self->lost_because};
        self->end(call);
      }
    });
  }

  // ---- calls

  Call* take() {
    if (free.empty()) {
      calls.push_back(std::make_unique<Call>(static_cast<std::uint32_t>(calls.size() + 1)));
      free.push_back(calls.back().get());
    }
    Call* call = free.back();
    free.pop_back();
    return call;
  }
  void recycle(Call* call) {
    call->reset();
    free.push_back(call);
  }
  void end(Call* call) {
    live[call->place] = live.back();
    live[call->place]->place = call->place;
    live.pop_back();
    CallHandler* handler = call->handler;
    const Status status = std::move(call->status);
    recycle(call);
    if (handler) handler->on_end(status);
  }

  CallId start(std::string_view path, std::string_view frames, bool half_close, CallHandler& handler,
               const Metadata& metadata) {
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
  Call* find(CallId id) {
    const auto index = static_cast<std::uint64_t>(id) & 0xffffffff;
    if (index == 0 || index > calls.size()) return nullptr;
    Call* call = calls[index - 1].get();
    return call->id() == id ? call : nullptr;
  }

  void send(CallId id, std::string_view frames, bool half_close) {
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

  void cancel(CallId id) {
    Call* call = find(id);
    if (!call) return;
    call->handler = nullptr;  // of a lost connection too, whose calls wait for the loop to tell them
    if (!is_open) return;
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    flush_soon();
  }

  void keep_alive(std::chrono::nanoseconds period, std::chrono::nanoseconds patience) {
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

  void await_sign_of_life(std::chrono::nanoseconds period, std::chrono::nanoseconds patience) {
    timer.expires_after(patience);
    timer.async_wait([weak = weak_from_this(), period, patience](error_code error) {
      const auto self = weak.lock();
      if (!self || error || !self->is_open) return;
      if (!self->heard) return self->fail("no answer to keep-alive");
      self->keep_alive(period, patience);
    });
  }

  // ---- nghttp2's callbacks

  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room,
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

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name_data,
                       std::size_t name_size, const std::uint8_t* value_data, std::size_t value_size,
                       std::uint8_t, void*) {
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

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                     std::size_t size, void*) {
    auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
    if (!call || !call->handler || call->http_status != 200) return 0;
    const bool good = call->in.feed(text(data, size), [&](std::string_view message) {
      if (call->handler) call->handler->on_message(message);
    });
    if (!good) nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_INTERNAL_ERROR);
    return 0;
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t stream, std::uint32_t error,
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
  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* self_pointer) {
    if (frame->hd.type == NGHTTP2_SETTINGS) static_cast<Impl*>(self_pointer)->finish_connect({});
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || frame->hd.stream_id == 0) return 0;
    auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    if (call && !call->half_close) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  // A request that never left, because the server is going away or it was cancelled first.
  static int on_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int, void* self_pointer) {
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

  static Status reason(const Call& call, std::uint32_t error) {
    if (error == NGHTTP2_REFUSED_STREAM) return {Code::unavailable, "the server refused the request", false};
    if (error == NGHTTP2_CANCEL) return {Code::cancelled, "the server cancelled the request"};
    if (call.http_status != 0 && call.http_status != 200) {
      return {code_from_http(call.http_status), "the server answered HTTP " +
                                                    std::to_string(call.http_status) +
                                                    " instead of gRPC: is this the client port?"};
    }
    return {error == NGHTTP2_NO_ERROR ? Code::internal : Code::unavailable,
            std::string("the answer broke off: ") + nghttp2_http2_strerror(error)};
  }
};

Connection::Connection(Loop& loop) : impl_(std::make_shared<Impl>(loop.io())) {}
Connection::~Connection() {
  impl_->connected = nullptr;
  for (Call* call : impl_->live) call->handler = nullptr;
  impl_->fail("closed");
  impl_->resolver.cancel();
  error_code ignored;
  impl_->socket.close(ignored);
}
void Connection::connect(const Endpoint& endpoint, std::chrono::nanoseconds timeout,
                         std::function<void(Status)> done) {
  impl_->connect(endpoint, timeout, std::move(done));
}
bool Connection::open() const { return impl_->is_open && !impl_->connected; }
CallId Connection::start(std::string_view path, std::string_view frames, bool half_close,
                         CallHandler& handler, const Metadata& metadata) {
  return impl_->start(path, frames, half_close, handler, metadata);
}
void Connection::send(CallId call, std::string_view frames, bool half_close) {
  impl_->send(call, frames, half_close);
}
void Connection::cancel(CallId call) { impl_->cancel(call); }
void Connection::keep_alive(std::chrono::nanoseconds period, std::chrono::nanoseconds patience) {
  impl_->keep_alive(period, patience);
}
void Connection::close(const std::string& why) { impl_->fail(why); }

}  // namespace quorate::client
