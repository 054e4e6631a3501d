#include "client/fake_server.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <nghttp2/nghttp2.h>

#include "client/frame.h"

namespace quorate::client {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct Stream {
  std::string path;
  Deframer in;
  std::vector<std::string> messages;
  bool answered = false;
  FakeAnswer answer;
  std::string body;
  std::size_t sent = 0;
};

nghttp2_nv field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

// One client's connection. All of it on the server's thread.
struct FakeSession : std::enable_shared_from_this<FakeSession> {
  FakeSession(tcp::socket s, const FakeServer::Handler& h) : socket(std::move(s)), handler(h) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
           const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
          if (std::string_view(reinterpret_cast<const char*>(name), name_size) == ":path") {
            static_cast<FakeSession*>(self)->streams[frame->hd.stream_id].path.assign(
                reinterpret_cast<const char*>(value), value_size);
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                      std::size_t size, void* self) {
          static_cast<FakeSession*>(self)->on_data(id, {reinterpret_cast<const char*>(data), size});
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
          if (frame->hd.stream_id != 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            static_cast<FakeSession*>(self)->respond(frame->hd.stream_id);
          }
          return 0;
        });
    nghttp2_session_server_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~FakeSession() { nghttp2_session_del(session); }
  FakeSession(const FakeSession&) = delete;
  FakeSession& operator=(const FakeSession&) = delete;

  void on_data(std::int32_t id, std::string_view bytes) {
    auto& stream = streams[id];
    const bool good = stream.in.feed(bytes, [&](std::string_view m) { stream.messages.emplace_back(m); });
    if (good && stream.path.ends_with("Stream") && !stream.messages.empty()) respond(id);
  }

  void respond(std::int32_t id) {
    auto& stream = streams[id];
    if (stream.answered) return;
    stream.answered = true;
    stream.answer = handler(stream.path, stream.messages);
    if (stream.answer.drop_connection) return close();
    if (stream.answer.refuse) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
      return;
    }
    for (const auto& message : stream.answer.messages) stream.body += frame(message);
    const std::string status = std::to_string(stream.answer.http_status);
    const std::array<nghttp2_nv, 2> headers = {field(":status", status),
                                               field("content-type", "application/grpc")};
    nghttp2_data_provider body{};
    body.source.ptr = &stream;
    body.read_callback = [](nghttp2_session* s, std::int32_t stream_id, std::uint8_t* to, std::size_t room,
                            std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
      auto* from = static_cast<Stream*>(source->ptr);
      const auto n = std::min(room, from->body.size() - from->sent);
      if (n == 0 && from->answer.hang) return NGHTTP2_ERR_DEFERRED;
      std::memcpy(to, from->body.data() + from->sent, n);
      from->sent += n;
      if (from->sent < from->body.size() || from->answer.hang) return static_cast<ssize_t>(n);
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!from->answer.grpc_status.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const std::array<nghttp2_nv, 2> trailers = {field("grpc-status", from->answer.grpc_status),
                                                    field("grpc-message", from->answer.grpc_message)};
        nghttp2_submit_trailer(s, stream_id, trailers.data(), trailers.size());
      }
      return static_cast<ssize_t>(n);
    };
    nghttp2_submit_response(session, id, headers.data(), headers.size(), &body);
  }

  void read() {
    socket.async_read_some(
        asio::buffer(buffer), [self = shared_from_this()](error_code error, std::size_t n) {
          if (error) return;
          if (nghttp2_session_mem_recv(self->session,
                                       reinterpret_cast<const std::uint8_t*>(self->buffer.data()), n) < 0) {
            return self->close();
          }
          self->write();
          if (self->socket.is_open()) self->read();
        });
  }
  void write() {
    const std::uint8_t* bytes = nullptr;
    for (ssize_t n = 0; socket.is_open() && (n = nghttp2_session_mem_send(session, &bytes)) > 0;) {
      error_code ignored;
      asio::write(socket, asio::buffer(bytes, static_cast<std::size_t>(n)), ignored);
    }
  }
  void close() {
    error_code ignored;
    socket.close(ignored);
  }

  tcp::socket socket;
  const FakeServer::Handler& handler;
  nghttp2_session* session = nullptr;
  std::array<char, 65536> buffer{};
  std::map<std::int32_t, Stream> streams;
};

struct FakeServer::Impl {
  explicit Impl(Handler h)
      : handler(std::move(h)),
        acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        port(acceptor.local_endpoint().port()) {
    accept();
    thread = std::thread([this] { io.run(); });
  }
  ~Impl() {
    io.stop();
    thread.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return;
      socket.set_option(tcp::no_delay(true));
      const auto session = std::make_shared<FakeSession>(std::move(socket), handler);
      session->write();
      session->read();
      accept();
    });
  }
  Handler handler;
  asio::io_context io;
  tcp::acceptor acceptor;
  unsigned port;
  std::thread thread;
};

FakeServer::FakeServer(Handler handler) : impl_(std::make_unique<Impl>(std::move(handler))) {}
FakeServer::~FakeServer() = default;
Endpoint FakeServer::endpoint() const {
  const std::string port = std::to_string(impl_->port);
  return {"127.0.0.1", port, "127.0.0.1:" + port};
}

}  // namespace quorate::client
