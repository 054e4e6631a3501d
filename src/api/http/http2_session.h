// HTTP/2 on one connection (RFC 9113), over nghttp2. Output is pulled: nghttp2_session_mem_send frames what
// the streams have queued, into the buffer of the flush, as far as the client's windows allow.
#pragma once

#include <memory>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "api/http/connection.h"
#include "api/http/http2_stream.h"

namespace quorate::http {

class Http2Session final : public Session {
 public:
  Http2Session(Hub& hub, Connection& connection);
  ~Http2Session() override;

  bool received(std::string_view data) override;
  bool produce(std::string& out, std::size_t about) override;
  [[nodiscard]] bool over() const override;
  [[nodiscard]] bool idle() const override { return streams_.empty(); }
  [[nodiscard]] bool reading_head() const override { return !greeted_ || head_open_; }
  void tick(Clock::time_point now) override;
  void begin_shutdown() override;

 private:
  friend class Http2Stream;
  struct Callbacks;

  void dispatch(Http2Stream& stream);
  void end_request(Http2Stream& stream);
  void close_stream(Http2Stream& stream);
  void on_client_ping();
  void keep_alive(Clock::time_point now);
  void drop_unread(Clock::time_point now);
  void changed() { connection_.flush_soon(); }

  Hub& hub_;
  Connection& connection_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Http2Stream>> streams_;
  std::vector<Http2Stream*> to_tell_;  // writable again; told once the output of the turn is framed
  std::size_t queued_output_ = 0;      // of all streams
  Clock::time_point next_deadline_ = Clock::time_point::max();
  Clock::time_point heard_;                             // when bytes last came
  Clock::time_point asked_ = Clock::time_point::max();  // when a ping went out that is not answered yet
  Clock::time_point client_ping_;                       // the client's last
  int early_pings_ = 0;                                 // of the client, since data last went to it
  bool ending_ = false;     // once what is queued is sent: GOAWAY with a reproach, or nothing
  bool greeted_ = false;    // the client's SETTINGS came
  bool head_open_ = false;  // a header block has begun and is not complete
  bool leaving_ = false;    // GOAWAY is on its way
};

}  // namespace quorate::http
