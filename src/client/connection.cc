#include "client/connection.h"

#include <array>

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <netinet/tcp.h>

#include "client/connection_impl.h"

namespace quorate::client {
namespace {

constexpr std::size_t kReadBuffer = 256U << 10U;
constexpr std::size_t kWriteBatch = 256U << 10U;  // bytes serialised before they are written
constexpr std::int32_t kStreamWindow = 4 << 20;   // a snapshot or a long range flows without waiting
constexpr std::int32_t kConnectionWindow = 16 << 20;

}  // namespace

void Connection::Impl::connect(const Endpoint& endpoint, std::chrono::nanoseconds timeout,
                               std::function<void(Status)> done) {
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
void Connection::Impl::introduce() {
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

void Connection::Impl::finish_connect(const std::string& failure) {
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

void Connection::Impl::begin_session() {
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

void Connection::Impl::read() {
  socket.async_read_some(asio::buffer(read_buffer),
                         [self = shared_from_this()](error_code error, std::size_t n) {
                           if (!self->is_open) return;
                           if (error) return self->fail(self->broken(error));
                           self->heard = true;
                           self->received({self->read_buffer.data(), n});
                           if (self->is_open) self->read();
                         });
}

void Connection::Impl::received(std::string_view bytes) {
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
    const auto used =
        nghttp2_session_mem_recv(session, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
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
std::string Connection::Impl::decrypt(std::string_view bytes) {
  plain.clear();
  const auto done = tls->receive(bytes, plain);
  return done ? std::string() : done.error();
}

std::string Connection::Impl::broken(const error_code& error) const {
  if (error != asio::error::eof) return error.message();
  if (tls) return tls->hang_up();
  return connected ? "the server closed the connection at once; does it speak TLS (https://)?"
                   : "the server closed the connection";
}

// Serialises what nghttp2 has to say and hands it to the socket, without a detour through the loop unless
// the socket is full.
void Connection::Impl::flush() {
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

bool Connection::Impl::serialise() {
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

void Connection::Impl::wait_writable() {
  writing = true;
  socket.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code error) {
    self->writing = false;
    if (!self->is_open) return;
    if (error) return self->fail(error.message());
    self->flush();
  });
}

void Connection::Impl::flush_soon() {
  if (flush_posted || receiving || !is_open) return;
  flush_posted = true;
  asio::post(io, [self = shared_from_this()] {
    self->flush_posted = false;
    self->flush();
  });
}

void Connection::Impl::fail(const std::string& why) {
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
void Connection::Impl::deliver_losses() {
  asio::post(io, [self = shared_from_this()] {
    while (!self->live.empty()) {
      Call* call = self->live.back();
      if (call->status.ok()) call->status = Status{Code::unavailable, self->lost_because};
      self->end(call);
    }
  });
}

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
