// How a connection does it (connection.cc the bytes, connection_calls.cc the calls). Private to the two.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <nghttp2/nghttp2.h>

#include "client/connection.h"
#include "client/frame.h"
#include "tls/channel.h"

namespace quorate::client {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

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

  void connect(const Endpoint& endpoint, std::chrono::nanoseconds timeout, std::function<void(Status)> done);
  void introduce();
  void finish_connect(const std::string& failure);
  void begin_session();

  // ---- bytes in and out

  void read();
  void received(std::string_view bytes);
  std::string decrypt(std::string_view bytes);
  [[nodiscard]] std::string broken(const error_code& error) const;
  void flush();
  bool serialise();
  void wait_writable();
  void flush_soon();
  void fail(const std::string& why);
  void deliver_losses();

  // ---- calls

  Call* take();
  void recycle(Call* call);
  void end(Call* call);
  CallId start(std::string_view path, std::string_view frames, bool half_close, CallHandler& handler,
               const Metadata& metadata);
  Call* find(CallId id);
  void send(CallId id, std::string_view frames, bool half_close);
  void cancel(CallId id);
  void keep_alive(std::chrono::nanoseconds period, std::chrono::nanoseconds patience);
  void await_sign_of_life(std::chrono::nanoseconds period, std::chrono::nanoseconds patience);

  // ---- nghttp2's callbacks

  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source* source, void*);
  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name_data,
                       std::size_t name_size, const std::uint8_t* value_data, std::size_t value_size,
                       std::uint8_t, void*);
  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                     std::size_t size, void*);
  static int on_stream_close(nghttp2_session* session, std::int32_t stream, std::uint32_t error,
                             void* self_pointer);
  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* self_pointer);
  static int on_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int, void* self_pointer);
  static Status reason(const Call& call, std::uint32_t error);
};

}  // namespace quorate::client
