#include "api/http/testing/client.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace quorate::http::testing {

RawClient::RawClient(boost::asio::io_context& io, std::uint16_t port) : io_(io) {
  socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    throw std::runtime_error("connect");
}

RawClient::~RawClient() { ::close(socket_); }

void RawClient::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      io_.poll();
    } else {
      return;  // the server has closed: reading will tell
    }
  }
}

std::size_t RawClient::read() {
  io_.restart();
  io_.run_one_for(std::chrono::milliseconds(1));
  io_.poll();
  char buffer[64U << 10U];
  const auto n = ::recv(socket_, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (n > 0) received_.append(buffer, static_cast<std::size_t>(n));
  if (n == 0 || (n < 0 && errno != EAGAIN)) closed_ = true;
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool RawClient::until(const std::function<bool()>& met) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!met()) {
    if (closed_ || std::chrono::steady_clock::now() > give_up) return met();
    read();
  }
  return true;
}

std::vector<std::string> Response::messages() const {
  std::vector<std::string> out;
  std::string_view rest = body;
  while (rest.size() >= 5) {
    std::size_t size = 0;
    for (int i = 1; i < 5; ++i)
      size = size << 8U | static_cast<unsigned char>(rest[static_cast<std::size_t>(i)]);
    if (rest.size() - 5 < size) break;
    out.emplace_back(rest.substr(5, size));
    rest.remove_prefix(5 + size);
  }
  return out;
}

Http2Client::Http2Client(boost::asio::io_context& io, std::uint16_t port, std::uint32_t window)
    : raw_(io, port) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
        auto& response = static_cast<Http2Client*>(user)->responses_[frame->hd.stream_id];
        const std::string key(reinterpret_cast<const char*>(name), name_size);
        const std::string text(reinterpret_cast<const char*>(value), value_size);
        if (key == ":status")
          response.status = text;
        else
          (frame->headers.cat == NGHTTP2_HCAT_RESPONSE ? response.headers : response.trailers)[key] = text;
        return 0;
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                    std::size_t size, void* user) {
        static_cast<Http2Client*>(user)->responses_[id].body.append(reinterpret_cast<const char*>(data),
                                                                    size);
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
        auto& response = static_cast<Http2Client*>(user)->responses_[id];
        response.closed = true;
        response.error = error;
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto& me = *static_cast<Http2Client*>(user);
        if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) ++me.pings_;
        if (frame->hd.type == NGHTTP2_GOAWAY) {
          ++me.goaways_;
          me.parting_.assign(reinterpret_cast<const char*>(frame->goaway.opaque_data),
                             frame->goaway.opaque_data_len);
        }
        return 0;
      });
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 1);
  if (window > (1U << 16U)) nghttp2_session_set_local_window_size(session_, 0, 0, 64 << 20);
}

Http2Client::~Http2Client() { nghttp2_session_del(session_); }

std::int32_t Http2Client::open(const std::string& method, const std::string& path, const Headers& headers,
                               bool end) {
  Headers all = {{":method", method}, {":scheme", "http"}, {":path", path}, {":authority", "test"}};
  all.insert(all.end(), headers.begin(), headers.end());
  std::vector<nghttp2_nv> fields;
  for (auto& [name, value] : all) {
    fields.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                      reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                      NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_data_provider provider;
  provider.source.ptr = this;
  provider.read_callback = [](nghttp2_session*, std::int32_t id, std::uint8_t* to, std::size_t room,
                              std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
    auto& body = static_cast<Http2Client*>(source->ptr)->bodies_[id];
    const std::size_t n = std::min(room, body.data.size());
    std::memcpy(to, body.data.data(), n);
    body.data.erase(0, n);
    if (body.data.empty() && body.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (n == 0 && !body.end) {
      body.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(n);
  };
  return nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), end ? nullptr : &provider,
                                nullptr);
}

void Http2Client::send(std::int32_t stream, std::string_view data) {
  auto& body = bodies_[stream];
  body.data.append(data);
  if (std::exchange(body.deferred, false)) nghttp2_session_resume_data(session_, stream);
}

void Http2Client::half_close(std::int32_t stream) {
  auto& body = bodies_[stream];
  body.end = true;
  if (std::exchange(body.deferred, false)) nghttp2_session_resume_data(session_, stream);
}

void Http2Client::reset(std::int32_t stream) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
}

std::string Http2Client::frame(std::string_view message) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(message.size() >> static_cast<unsigned>(shift));
  return out.append(message);
}

std::int32_t Http2Client::open_call(const std::string& path, Headers headers) {
  headers.emplace_back("content-type", "application/grpc");
  headers.emplace_back("te", "trailers");
  return open("POST", path, headers);
}

std::int32_t Http2Client::call(const std::string& path, std::string_view message, Headers headers) {
  const auto stream = open_call(path, std::move(headers));
  send_message(stream, message);
  half_close(stream);
  return stream;
}

Response& Http2Client::finished(std::int32_t stream) {
  until([&] { return response(stream).closed; });
  return response(stream);
}

void Http2Client::turn() {
  for (;;) {
    const std::uint8_t* data = nullptr;
    const auto n = nghttp2_session_mem_send(session_, &data);
    if (n <= 0) break;
    raw_.write({reinterpret_cast<const char*>(data), static_cast<std::size_t>(n)});
  }
  if (!reading_) return;
  raw_.read();
  auto& in = raw_.received();
  nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(in.data()), in.size());
  in.clear();
}

bool Http2Client::until(const std::function<bool()>& met) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!met()) {
    if (raw_.closed() || std::chrono::steady_clock::now() > give_up) return met();
    turn();
  }
  return true;
}

}  // namespace quorate::http::testing
