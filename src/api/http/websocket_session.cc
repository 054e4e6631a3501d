#include "api/http/websocket_session.h"

#include <utility>

#include <boost/beast/websocket/rfc6455.hpp>

#include "api/http/output_queue.h"
#include "api/http/websocket_frames.h"

namespace quorate::http {

namespace {

using websocket::FrameReader;
using websocket::Opcode;

constexpr std::string_view normal_end = {"\x03\xe8", 2};      // 1000
constexpr std::string_view protocol_error = {"\x03\xea", 2};  // 1002
constexpr auto farewell = std::chrono::seconds(5);            // for the client to say that it ends, too

class WebSocketSession;

class WebSocketExchange final : public Exchange {
 public:
  WebSocketExchange(WebSocketSession& session, Hub& hub, bool secure) : session_(&session) {
    high_water_ = hub.limits.stream_high_water;
    backlog_ = hub.handler->backlog.get();
    secure_ = secure;
  }
  [[nodiscard]] Version version() const override { return Version::websocket; }
  [[nodiscard]] std::string_view method() const override { return "POST"; }
  [[nodiscard]] std::string_view target() const override;
  [[nodiscard]] std::string_view header(std::string_view lower_name) const override;
  // The head was sent with the change of protocols: what it would say stands in the messages.
  void respond(int, std::span<const Field>, bool end) override;
  void write(Piece piece) override;
  void finish(std::span<const Field> trailers) override;
  void abort() override { finish({}); }
  void set_deadline(Clock::time_point at) override { deadline_ = at; }

 private:
  friend class WebSocketSession;
  WebSocketSession* session_;
  OutputQueue output_;
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
    exchange_ = std::make_unique<WebSocketExchange>(*this, hub, connection.secure());
    hub_.handler->handle(*exchange_);
    connection_.flush_soon();
  }
  ~WebSocketSession() override { end_exchange(); }

  bool received(std::string_view data) override {
    if (!over() && !frames_.read(data)) end(protocol_error);
    return true;
  }

  bool produce(std::string& out, std::size_t about) override {
    out.append(std::exchange(out_, {}));
    if (exchange_) {
      exchange_->unqueued(exchange_->output_.take(out, about));
      if (exchange_->queued_ > exchange_->high_water() / 2) return true;
      if (exchange_->finished_) {
        if (exchange_->queued_ == 0) end(normal_end);
      } else if (std::exchange(exchange_->was_full_, false)) {
        if (const ReceiverPtr receiver = exchange_->receiver()) receiver->writable();
      }
    }
    if (pong_)
      out += websocket::frame_head(Opcode::pong, pong_->size()) + *std::exchange(pong_, std::nullopt);
    out.append(std::exchange(out_, {}));
    return true;
  }

  [[nodiscard]] bool over() const override { return ended_ && heard_end_ && out_.empty(); }
  [[nodiscard]] bool idle() const override { return !exchange_; }
  [[nodiscard]] bool reading_head() const override { return false; }

  void tick(Clock::time_point now) override {
    if (exchange_ && exchange_->deadline_ <= now) {
      exchange_->clear_deadline();
      if (const ReceiverPtr receiver = exchange_->receiver()) receiver->deadline();
    }
    if (ended_ && now - ended_at_ > farewell) heard_end_ = true;
  }

  void begin_shutdown() override {
    if (exchange_ && !exchange_->finished_) return;  // ended by the handler, or with the connection
    end(normal_end);
  }

 private:
  friend class WebSocketExchange;

  void body(std::string_view data) {
    if (!exchange_ || exchange_->finished_) return;
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
    end_exchange();
    out_ += websocket::frame_head(Opcode::close, code.size());
    out_ += code;
    connection_.flush_soon();
  }

  void end_exchange() {
    if (!exchange_) return;
    auto ended = std::move(exchange_);
    ended->session_ = nullptr;
    ended->unqueued(ended->queued_);
    if (const ReceiverPtr receiver = std::move(ended->receiver_)) receiver->closed();
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

std::string_view WebSocketExchange::target() const {
  const auto target = session_->request_.target();
  return {target.data(), target.size()};
}

std::string_view WebSocketExchange::header(std::string_view lower_name) const {
  const auto at = session_->request_.find(lower_name);
  return at == session_->request_.end() ? std::string_view() : std::string_view(at->value());
}

void WebSocketExchange::respond(int, std::span<const Field>, bool end) {
  responded_ = true;
  if (end) finish({});
}

void WebSocketExchange::write(Piece piece) {
  if (finished_ || session_ == nullptr) return;
  std::string_view front = piece.front();
  Bytes body = piece.body();
  if (body.view().ends_with('\n')) body = body.slice(0, body.size() - 1);  // lines elsewhere, messages here
  if (front.size() + body.size() == 0) return;
  const std::string head = websocket::frame_head(Opcode::text, front.size() + body.size());
  output_.put(head);
  output_.put(front);
  output_.put(body);
  queued(head.size() + front.size() + body.size());
  (void)has_room();
  session_->connection_.flush_soon();
}

void WebSocketExchange::finish(std::span<const Field>) {
  if (finished_ || session_ == nullptr) return;
  finished_ = true;
  session_->connection_.flush_soon();
}

}  // namespace

bool asks_for_websocket(const WebSocketRequest& request) {
  return boost::beast::websocket::is_upgrade(request);
}

std::unique_ptr<Session> make_websocket_session(Hub& hub, Connection& connection, WebSocketRequest request) {
  return std::make_unique<WebSocketSession>(hub, connection, std::move(request));
}

}  // namespace quorate::http
