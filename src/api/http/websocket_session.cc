#include "api/http/websocket_session.h"

#include <deque>
#include <utility>

#include <boost/beast/websocket/rfc6455.hpp>

#include "api/http/serial_exchange.h"
#include "api/http/websocket_frames.h"

namespace quorate::http {

namespace {

using websocket::FrameReader;
using websocket::Opcode;

constexpr std::string_view normal_end = {"\x03\xe8", 2};      // 1000
constexpr std::string_view protocol_error = {"\x03\xea", 2};  // 1002
constexpr auto farewell = std::chrono::seconds(5);            // for the client to say that it ends, too

class WebSocketExchange final : public SerialExchange {
 public:
  WebSocketExchange(const WebSocketRequest& request, Hub& hub, Connection& connection)
      : SerialExchange(hub, connection), request_(request) {}
  [[nodiscard]] Version version() const override { return Version::websocket; }
  [[nodiscard]] std::string_view method() const override { return "POST"; }
  [[nodiscard]] std::string_view target() const override { return request_.target(); }
  [[nodiscard]] std::string_view header(std::string_view lower_name) const override;
  // The head was sent with the change of protocols: what it would say stands in the messages.
  void respond(int, std::span<const Field>, bool end) override;
  void write(Piece piece) override;
  void finish(std::span<const Field> trailers) override;
  void abort() override { finish({}); }

  void take(std::string& out, std::size_t upto);
  // Some of a frame is out, and not all of it: nothing else may stand there (§5.4).
  [[nodiscard]] bool within_frame() const { return sent_ != 0; }
  void take_rest_of_frame(std::string& out) {
    if (within_frame()) take(out, out.size() + frames_.front() - sent_);
  }

 private:
  const WebSocketRequest& request_;
  std::deque<std::size_t> frames_;  // how long those in the queue are
  std::size_t sent_ = 0;            // of the first
};

class WebSocketSession final : public Session {
 public:
  WebSocketSession(Hub& hub, Connection& connection, WebSocketRequest request)
      : hub_(hub),
        connection_(connection),
        request_(std::move(request)),
        frames_({[this](std::string_view data) { body(data); }, [this] { body("\n"); },
                 [this](Opcode opcode, std::string_view payload) { control(opcode, payload); }}) {
    const auto key = request_[boost::beast::http::field::sec_websocket_key];
    out_ =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        "sec-websocket-accept: " +
        websocket::accept_key({key.data(), key.size()}) + "\r\n\r\n";
    exchange_ = std::make_unique<WebSocketExchange>(request_, hub, connection);
    hub_.handler->handle(*exchange_);
    connection_.flush_soon();
  }
  ~WebSocketSession() override { SerialExchange::end(exchange_); }

  bool received(std::string_view data) override {
    if (!over() && !frames_.read(data)) end(protocol_error);
    return true;
  }

  bool produce(std::string& out, std::size_t about) override {
    out.append(std::exchange(out_, {}));
    answer_ping(out);
    if (exchange_) {
      exchange_->take(out, about);
      if (exchange_->much_queued()) return true;
      if (!exchange_->finished()) {
        exchange_->tell_writable();
      } else if (exchange_->queued() == 0) {
        end(normal_end);
      }
    }
    answer_ping(out);
    out.append(std::exchange(out_, {}));
    return true;
  }

  [[nodiscard]] bool over() const override { return ended_ && heard_end_ && out_.empty(); }
  [[nodiscard]] bool idle() const override { return !exchange_; }
  [[nodiscard]] bool reading_head() const override { return false; }

  void tick(Clock::time_point now) override {
    if (exchange_) exchange_->check_deadline(now);
    if (ended_ && now - ended_at_ > farewell) heard_end_ = true;
  }

  void begin_shutdown() override {
    if (!exchange_) end(normal_end);  // else ended by the handler, or with the connection
  }

 private:
  void body(std::string_view data) {
    if (!exchange_ || exchange_->finished()) return;
    if (const ReceiverPtr receiver = exchange_->receiver()) receiver->body(data);
  }

  void control(Opcode opcode, std::string_view payload) {
    if (opcode == Opcode::ping) pong_ = payload;  // the latest will do (§5.5.3)
    if (opcode == Opcode::close) {
      heard_end_ = true;
      end(payload.size() >= 2 ? payload.substr(0, 2) : normal_end);
    }
    connection_.flush_soon();
  }

  void end(std::string_view code) {
    if (std::exchange(ended_, true)) return;
    heard_end_ = heard_end_ || code == protocol_error;  // whatever it says now is not understood
    ended_at_ = hub_.now;
    if (exchange_) exchange_->take_rest_of_frame(out_);
    SerialExchange::end(exchange_);
    out_ += websocket::frame_head(Opcode::close, code.size());
    out_ += code;
    connection_.flush_soon();
  }

  void answer_ping(std::string& out) {
    if (!pong_ || ended_ || (exchange_ && exchange_->within_frame())) return;
    out += websocket::frame_head(Opcode::pong, pong_->size());
    out += *std::exchange(pong_, std::nullopt);
  }

  Hub& hub_;
  Connection& connection_;
  WebSocketRequest request_;
  FrameReader frames_;
  std::string out_;  // the handshake, the end
  std::optional<std::string> pong_;
  std::unique_ptr<WebSocketExchange> exchange_;
  bool ended_ = false;      // said
  bool heard_end_ = false;  // the client said it, or need not
  Clock::time_point ended_at_;
};

std::string_view WebSocketExchange::header(std::string_view lower_name) const {
  const auto at = request_.find(lower_name);
  return at == request_.end() ? std::string_view() : std::string_view(at->value());
}

void WebSocketExchange::respond(int, std::span<const Field>, bool end) {
  responded_ = true;
  if (end) finish({});
}

void WebSocketExchange::write(Piece piece) {
  if (finished_ || over()) return;
  std::string_view front = piece.front();
  Bytes body = piece.body();
  if (body.view().ends_with('\n')) body = body.slice(0, body.size() - 1);  // lines elsewhere, messages here
  if (front.size() + body.size() == 0) return;
  const std::string head = websocket::frame_head(Opcode::text, front.size() + body.size());
  output_.put(head);
  output_.put(front);
  output_.put(body);
  frames_.push_back(head.size() + front.size() + body.size());
  queued(frames_.back());
  (void)has_room();
  flush_soon();
}

void WebSocketExchange::take(std::string& out, std::size_t upto) {
  const std::size_t taken = output_.take(out, upto);
  unqueued(taken);
  for (sent_ += taken; !frames_.empty() && sent_ >= frames_.front(); frames_.pop_front())
    sent_ -= frames_.front();
}

void WebSocketExchange::finish(std::span<const Field>) {
  if (finished_ || over()) return;
  finished_ = true;
  flush_soon();
}

}  // namespace

bool asks_for_websocket(const WebSocketRequest& request) {
  return boost::beast::websocket::is_upgrade(request);
}

std::unique_ptr<Session> make_websocket_session(Hub& hub, Connection& connection, WebSocketRequest request) {
  return std::make_unique<WebSocketSession>(hub, connection, std::move(request));
}

}  // namespace quorate::http
