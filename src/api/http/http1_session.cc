// HTTP/1.1 on one connection (RFC 9112): JSON gateway, health, metrics. One exchange at a time; of what a
// client pipelines a little waits in the input buffer, and counts as a request that is not yet whole.
#include <algorithm>
#include <charconv>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "api/http/connection.h"
#include "api/http/serial_exchange.h"
#include "api/http/websocket_session.h"

namespace quorate::http {
namespace {

namespace beast = boost::beast::http;
using Parser = beast::request_parser<beast::string_body>;

class Http1Exchange final : public SerialExchange {
 public:
  Http1Exchange(const Parser& parser, Hub& hub, Connection& connection)
      : SerialExchange(hub, connection), request_(parser.get()) {
    keep_alive_ = request_.keep_alive();
    head_only_ = request_.method() == beast::verb::head;
  }
  [[nodiscard]] Version version() const override { return Version::http1; }
  [[nodiscard]] std::string_view method() const override { return request_.method_string(); }
  [[nodiscard]] std::string_view target() const override { return request_.target(); }
  [[nodiscard]] std::string_view header(std::string_view lower_name) const override;
  void respond(int status, std::span<const Field> fields, bool end) override;
  void write(Piece piece) override;
  void finish(std::span<const Field> trailers) override;
  void abort() override;

 private:
  friend class Http1Session;
  void put(std::string_view text);

  const Parser::value_type& request_;
  bool chunked_ = false;
  bool keep_alive_ = true;
  bool head_only_ = false;  // HEAD: the body is not sent
  bool aborted_ = false;
};

class Http1Session final : public Session {
 public:
  Http1Session(Hub& hub, Connection& connection) : hub_(hub), connection_(connection) { next(); }
  ~Http1Session() override {
    account(0);
    SerialExchange::end(exchange_);
  }

  bool received(std::string_view data) override {
    // Whatever follows a "Connection: close" is not ours.
    if (closing_ || (exchange_ && !exchange_->keep_alive_)) return true;
    input_.append(data);
    exchange_ ? pipelined() : parse();
    return true;
  }

  bool produce(std::string& out, std::size_t about) override {
    out.append(std::exchange(early_out_, {}));
    if (!exchange_) return true;
    exchange_->unqueued(exchange_->output_.take(out, about));
    if (exchange_->much_queued()) return true;
    if (exchange_->queued_ != 0 && (exchange_->aborted_ || exchange_->finished_)) return true;
    if (exchange_->aborted_) {
      closing_ = true;
      SerialExchange::end(exchange_);
    } else if (exchange_->finished_) {
      if (!exchange_->keep_alive_) closing_ = true;
      SerialExchange::end(exchange_);
      if (!closing_) {
        next();
        connection_.transport().resume_reading();
        if (!input_.empty()) parse();
      }
    } else {
      exchange_->tell_writable();
    }
    return true;
  }

  [[nodiscard]] bool over() const override { return closing_ && !exchange_ && early_out_.empty(); }
  [[nodiscard]] bool idle() const override { return !exchange_; }
  // A kept-alive connection between two requests waits under the idle time-out, not this one.
  [[nodiscard]] bool reading_head() const override {
    return !exchange_ && !closing_ && parser_->got_some() && !parser_->is_header_done();
  }

  void tick(Clock::time_point now) override {
    if (exchange_) exchange_->check_deadline(now);
    if (!exchange_ && body_since_ && now - *body_since_ > hub_.limits.body_timeout) fail(408);
  }

  [[nodiscard]] std::unique_ptr<Session> successor() override { return std::move(successor_); }

  void begin_shutdown() override {
    if (exchange_) {
      exchange_->keep_alive_ = false;
    } else {
      closing_ = true;
    }
    connection_.flush_soon();
  }

 private:
  friend class Http1Exchange;
  static constexpr std::size_t pipeline_limit = 16U << 10U;

  void next() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(hub_.limits.max_header_bytes));
    parser_->body_limit(hub_.limits.max_http1_body);
    parser_->eager(true);
    continued_ = false;
    body_since_.reset();
  }

  void parse() {
    boost::system::error_code error;
    std::size_t used = 0;
    while (used < input_.size() && !parser_->is_done()) {
      const std::size_t n =
          parser_->put(boost::asio::buffer(input_.data() + used, input_.size() - used), error);
      used += n;
      if (error == beast::error::need_more) {
        error = {};
        break;
      }
      if (error || n == 0) break;
    }
    input_.erase(0, used);
    if (input_.empty() && input_.capacity() > pipeline_limit) input_ = std::string();
    if (error)
      return fail(error == beast::error::header_limit ? 431 : error == beast::error::body_limit ? 413 : 400);
    if (parser_->is_done()) return dispatch();
    account(input_.size() + parser_->get().body().size());
    if (hub_.arriving > hub_.limits.max_arriving) return fail(503);
    if (!parser_->is_header_done()) return;
    if (!body_since_) body_since_ = hub_.now;
    if (!std::exchange(continued_, true) && parser_->get()[beast::field::expect] == "100-continue") {
      early_out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    }
  }

  // The next request has begun to come in before this one is answered. Where there is no room for it the
  // client has to send it again, on another connection.
  void pipelined() {
    account(input_.size());
    if (hub_.arriving > hub_.limits.max_arriving) {
      exchange_->keep_alive_ = false;
      input_ = std::string();
      account(0);
    }
    if (input_.size() >= pipeline_limit) connection_.transport().pause_reading();
  }

  void account(std::size_t arriving) {
    hub_.arriving += arriving - arriving_;
    arriving_ = arriving;
  }

  void dispatch() {
    account(0);
    body_since_.reset();
    exchange_ = std::make_unique<Http1Exchange>(*parser_, hub_, connection_);
    if (asks_for_websocket(parser_->get()) && hub_.handler->speaks_websocket(*exchange_)) return change();
    pipelined();
    hub_.handler->handle(*exchange_);
    const std::string body = std::exchange(parser_->get().body(), {});  // not kept while the answer lasts
    const ReceiverPtr receiver = exchange_->receiver();
    if (!receiver) return;
    if (!body.empty()) receiver->body(body);
    if (!exchange_->finished_) receiver->body_end();
  }

  void change() {
    SerialExchange::end(exchange_);
    closing_ = true;
    successor_ = make_websocket_session(hub_, connection_, parser_->release());
    if (!input_.empty()) (void)successor_->received(std::exchange(input_, {}));
  }

  // The input can not be followed any further: a last answer, then the end.
  void fail(int status) {
    account(0);
    body_since_.reset();
    early_out_ += "HTTP/1.1 " + std::to_string(status) + " ";
    early_out_ += beast::obsolete_reason(beast::int_to_status(static_cast<unsigned>(status)));
    early_out_ += "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    closing_ = true;
    input_.clear();
    connection_.flush_soon();
  }

  Hub& hub_;
  Connection& connection_;
  std::unique_ptr<Session> successor_;
  std::optional<Parser> parser_;
  std::string input_;
  std::string early_out_;  // interim answers and refusals
  std::unique_ptr<Http1Exchange> exchange_;
  std::optional<Clock::time_point> body_since_;
  std::size_t arriving_ = 0;  // of this connection, in hub_.arriving
  bool continued_ = false;
  bool closing_ = false;
};

std::string_view Http1Exchange::header(std::string_view lower_name) const {
  const auto at = request_.find(lower_name);  // compares without case
  return at == request_.end() ? std::string_view() : std::string_view(at->value());
}

void Http1Exchange::put(std::string_view text) {
  output_.put(text);
  queued(text.size());
}

void Http1Exchange::respond(int status, std::span<const Field> fields, bool end) {
  if (responded_ || over()) return;
  responded_ = true;
  put("HTTP/1.1 ");
  put(std::to_string(status));
  put(" ");
  put(beast::obsolete_reason(beast::int_to_status(static_cast<unsigned>(status))));
  put("\r\n");
  bool sized = false;
  for (const auto& some : {fields, added_}) {
    for (const auto& field : some) {
      sized = sized || field.name == "content-length";
      put(field.name);
      put(": ");
      put(field.value);
      put("\r\n");
    }
  }
  if (end && !sized) {
    put("content-length: 0\r\n");
  } else if (!sized && request_.version() >= 11) {
    chunked_ = true;
    put("transfer-encoding: chunked\r\n");
  } else if (!sized) {
    keep_alive_ = false;  // HTTP/1.0: the end of the body is the end of the connection
  }
  if (!keep_alive_) put("connection: close\r\n");
  put("\r\n");
  finished_ = end;
  flush_soon();
}

void Http1Exchange::write(Piece piece) {
  if (finished_ || over() || piece.size() == 0 || head_only_) return;
  if (chunked_) {
    char size[18];
    const auto end = std::to_chars(size, size + sizeof(size), piece.size(), 16).ptr;
    put({size, static_cast<std::size_t>(end - size)});
    put("\r\n");
  }
  put(piece.front());
  output_.put(piece.body());
  queued(piece.body().size());
  if (chunked_) put("\r\n");
  (void)has_room();  // a sender that does not ask is told, too
  flush_soon();
}

void Http1Exchange::finish(std::span<const Field>) {
  if (finished_ || over()) return;
  finished_ = true;
  if (chunked_ && !head_only_) put("0\r\n\r\n");
  flush_soon();
}

void Http1Exchange::abort() {
  if (over()) return;
  finished_ = aborted_ = true;
  flush_soon();
}

}  // namespace

std::unique_ptr<Session> make_http1_session(Hub& hub, Connection& connection) {
  return std::make_unique<Http1Session>(hub, connection);
}

}  // namespace quorate::http
