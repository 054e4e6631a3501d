#include "api/http/grpc.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace quorate::http::grpc {

namespace {

constexpr std::size_t prefix = 5;
static_assert(prefix == Message::room);
constexpr auto whole_message_timeout = std::chrono::seconds(60);  // for the request of a unary call to arrive

constexpr std::array<Field, 1> response_head = {Field{"content-type", "application/grpc", true}};
// What a client that compresses is told to send instead (grpc/grpc, doc/compression.md).
constexpr std::array<Field, 1> accepted = {Field{"grpc-accept-encoding", "identity", true}};
constexpr std::array<Field, 1> status_ok = {Field{"grpc-status", "0", true}};

std::uint64_t length_at(std::string_view frame) {
  std::uint64_t n = 0;
  for (std::size_t i = 1; i < prefix; ++i) n = n << 8U | static_cast<unsigned char>(frame[i]);
  return n;
}

// "grpc-status" and, where there is one, "grpc-message"; the texts live in the two strings.
struct StatusFields {
  explicit StatusFields(const Status& status)
      : code(std::to_string(static_cast<int>(status.code))), message(percent_encode(status.message)) {
    fields[0] = response_head[0];
    fields[1] = {"grpc-status", code};
    fields[2] = {"grpc-message", message};
  }
  [[nodiscard]] std::span<const Field> trailers() const {
    return std::span(fields).subspan(1, message.empty() ? 1 : 2);
  }
  [[nodiscard]] std::span<const Field> alone() const {
    return std::span(fields).first(message.empty() ? 2 : 3);
  }
  std::string code;
  std::string message;
  std::array<Field, 3> fields;
};

class GrpcCall final : public Call {
 public:
  GrpcCall(CallHost& host, const Method& method, Exchange& exchange)
      : Call(host, method, exchange), deframer_(host) {}

  void open_call() {
    if (const auto encoding = header("grpc-encoding"); !encoding.empty() && encoding != "identity") {
      exchange_->add_fields(accepted);
      return finish({Code::unimplemented, "grpc: Decompressor is not installed for grpc-encoding \"" +
                                              std::string(encoding) + "\""});
    }
    if (const auto text = header("grpc-timeout"); !text.empty()) {
      const auto timeout = parse_timeout(text);
      if (!timeout) return finish({Code::internal, "malformed grpc-timeout"});
      deadline_ = began_ + *timeout;
    }
    if (method().client_streams) {
      if (deadline_ != Clock::time_point::max()) set_deadline(deadline_);
      begin_stream();
    } else {
      set_deadline(std::min(deadline_, began_ + whole_message_timeout));
    }
  }

  void body(std::string_view chunk) override {
    while (open() && !chunk.empty()) {
      auto message = deframer_.next(chunk);
      if (deframer_.problem() != Deframer::Problem::none) return reject();
      if (!message) return;
      if (method().client_streams) {
        const CallPtr keep(this);
        if (stream_) stream_->message(std::move(*message));
      } else if (request_) {
        return finish({Code::internal, "a unary call has one request message"});
      } else {
        request_ = std::move(*message);
      }
    }
  }

  void body_end() override {
    if (!open()) return;
    if (deframer_.midway()) return finish({Code::internal, "the request ends within a message"});
    if (method().client_streams) {
      if (stream_) stream_->half_closed();
      return;
    }
    if (!request_) return finish({Code::internal, "the request holds no message"});
    set_deadline(deadline_);
    Message request = std::move(*request_);
    begin(std::move(request));
  }

  void send(std::string_view front, Bytes body) override {
    if (!open()) return;
    const std::size_t size = front.size() + body.size();
    if (!admits(size)) return;
    if (!exchange_->responded()) exchange_->respond(200, response_head);
    const char head[prefix] = {0, static_cast<char>(size >> 24U), static_cast<char>(size >> 16U),
                               static_cast<char>(size >> 8U), static_cast<char>(size)};
    Piece piece({head, prefix}, std::move(body));
    piece.append_front(front);
    exchange_->write(std::move(piece));
  }

 private:
  void end(const Status& status) override {
    if (status.ok()) {
      if (!exchange_->responded()) exchange_->respond(200, response_head);
      return exchange_->finish(status_ok);
    }
    const StatusFields fields(status);
    if (exchange_->responded()) return exchange_->finish(fields.trailers());
    exchange_->respond(200, fields.alone(), true);  // trailers-only
  }

  void reject() {
    switch (deframer_.problem()) {
      case Deframer::Problem::compressed:
        return finish({Code::internal, "grpc: compressed flag set with identity or empty encoding"});
      case Deframer::Problem::too_large:
        return finish({Code::resource_exhausted, "grpc: received message larger than max (" +
                                                     std::to_string(deframer_.announced()) + " vs. " +
                                                     std::to_string(host_->max_message) + ")"});
      case Deframer::Problem::no_memory:
        return finish({Code::resource_exhausted, "too many request bytes are arriving at once"});
      case Deframer::Problem::none: return;
    }
  }

  Deframer deframer_;
  std::optional<Message> request_;
  Clock::time_point deadline_ = Clock::time_point::max();
};

}  // namespace

bool is_grpc(std::string_view content_type) {
  static constexpr std::string_view base = "application/grpc";
  if (!content_type.starts_with(base)) return false;
  content_type.remove_prefix(base.size());
  return content_type.empty() || content_type[0] == ';' || content_type == "+proto" ||
         content_type.starts_with("+proto;");
}

std::optional<Clock::duration> parse_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;  // at most eight digits and the unit
  std::int64_t n = 0;
  const auto digits = text.substr(0, text.size() - 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), n);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || n < 0) return std::nullopt;
  using namespace std::chrono;
  switch (text.back()) {
    case 'H': return hours(std::min<std::int64_t>(n, std::int64_t{24} * 365));
    case 'M': return minutes(n);
    case 'S': return seconds(n);
    case 'm': return milliseconds(n);
    case 'u': return microseconds(n);
    case 'n': return nanoseconds(n);
    default: return std::nullopt;
  }
}

std::string percent_encode(std::string_view message) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7E && c != '%') {
      out += c;
    } else {
      out += '%';
      out += hex[byte >> 4U];
      out += hex[byte & 15U];
    }
  }
  return out;
}

std::uint64_t Deframer::announced() const { return buffer_.size() < prefix ? 0 : length_at(buffer_); }

std::optional<Message> Deframer::next(std::string_view& data) {
  if (buffer_.empty() && data.size() >= prefix && data[0] == 0 && length_at(data) <= host_->max_message &&
      data.size() - prefix >= length_at(data)) {  // a whole message at once: the usual case
    const std::size_t size = prefix + length_at(data);
    std::string frame(data.substr(0, size));
    data.remove_prefix(size);
    return Message::with_room(std::move(frame));
  }
  if (buffer_.size() < prefix) {
    const std::size_t n = std::min(prefix - buffer_.size(), data.size());
    buffer_.append(data.substr(0, n));
    data.remove_prefix(n);
    if (buffer_.size() < prefix) return std::nullopt;
    if (buffer_[0] != 0) problem_ = Problem::compressed;
    if (announced() > host_->max_message) problem_ = Problem::too_large;
    if (problem_ != Problem::none) return std::nullopt;
  }
  // The announced length is not trusted with memory: the buffer grows with what has arrived.
  const std::size_t size = prefix + announced();
  const std::size_t n = std::min(size - buffer_.size(), data.size());
  if (host_->partial + n > host_->max_partial) {
    problem_ = Problem::no_memory;
    return std::nullopt;
  }
  buffer_.append(data.substr(0, n));
  data.remove_prefix(n);
  count(n);
  if (buffer_.size() < size) return std::nullopt;
  host_->partial -= std::exchange(counted_, 0);
  return Message::with_room(std::exchange(buffer_, {}));
}

void serve(Exchange& exchange, CallHost& host, const Method& method) {
  const boost::intrusive_ptr<GrpcCall> call(new GrpcCall(host, method, exchange));
  exchange.accept(call);
  call->open_call();
}

void refuse(Exchange& exchange, const Status& status) {
  const StatusFields fields(status);
  exchange.respond(200, fields.alone(), true);
}

}  // namespace quorate::http::grpc
