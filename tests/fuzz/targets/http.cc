// Bytes of any client to the shared port: HTTP/1.1 and HTTP/2 sessions, and gRPC framing behind them, over a
// transport in memory. However the bytes are cut, whatever they are, nothing is written behind the close,
// every exchange that was begun ends, and no accounted memory is left.
#include <boost/asio/io_context.hpp>

#include "api/http/connection.h"
#include "api/http/grpc.h"
#include "api/http/http2_stream.h"
#include "choices.h"
#include "core/rng.h"
#include "fuzz.h"

namespace quorate::fuzz {
namespace {

using namespace http;

struct Wire {
  Transport::Observer* observer = nullptr;
  std::size_t written = 0;
  std::size_t unsent = 0;
  bool slow = false;  // the client takes what is written only when drained
  bool paused = false;
  bool closed = false;
};

class MemoryTransport final : public Transport {
 public:
  MemoryTransport(Wire& wire, Observer& observer) : wire_(&wire) { wire.observer = &observer; }
  void start() override {}
  bool write(std::string_view data) override {
    require(!wire_->closed, "written behind the close");
    wire_->written += data.size();
    require(wire_->written < (64U << 20U), "an answer without end");
    if (wire_->slow) wire_->unsent += data.size();
    return wire_->unsent == 0;
  }
  [[nodiscard]] bool blocked() const override { return wire_->unsent != 0; }
  [[nodiscard]] std::size_t unsent() const override { return wire_->unsent; }
  void pause_reading() override { wire_->paused = true; }
  void resume_reading() override { wire_->paused = false; }
  void close() override { wire_->closed = true; }

 private:
  Wire* wire_;
};

// Counts what is open; echoes bodies, messages, and floods some.
class Services final : public Handler, public CallHost {
 public:
  Services() {
    max_message = 64U << 10U;
    max_partial = 256U << 10U;
    echo_.path = "/t/Echo";
    echo_.call = [](const CallPtr& call, const Message& m) { call->reply({}, Bytes::copy(m.view())); };
    flood_.path = "/t/Flood";
    flood_.server_streams = true;
    flood_.call = [](const CallPtr& call, const Message&) {
      for (int i = 0; i < 40; ++i) call->send({}, Bytes::adopt(std::string(10'000, 'f')));
      call->finish({});
    };
    chat_.path = "/t/Chat";
    chat_.client_streams = chat_.server_streams = true;
    chat_.open = [](const CallPtr& call) { return std::make_unique<Chat>(*call); };
  }
  void handle(Exchange& exchange) override {
    require(!exchange.method().empty() || exchange.version() == Version::http2, "a request without a method");
    if (!grpc::is_grpc(exchange.header("content-type"))) return exchange.accept(new Page(*this, exchange));
    for (const auto* method : {&echo_, &flood_, &chat_}) {
      if (method->path == exchange.path()) return grpc::serve(exchange, *this, *method);
    }
    grpc::refuse(exchange, {Code::unimplemented, "unknown method"});
  }
  Status admit(const Call&) override { return {}; }
  void started(const Method&) override { ++open; }
  void handled(const Method&, Code, Clock::duration) override { --open; }

  int open = 0;

 private:
  class Page final : public Receiver {
   public:
    Page(Services& services, Exchange& exchange)
        : services_(&services), exchange_(&exchange), text_(exchange.target()) {
      ++services.open;
    }
    void body(std::string_view chunk) override {
      require(exchange_ != nullptr, "a body behind the end");
      text_ += chunk;
    }
    void body_end() override {
      exchange_->respond(200, {});
      exchange_->write(Piece(Bytes::adopt(std::move(text_))));
      exchange_->finish();
    }
    void closed() override {
      require(exchange_ != nullptr, "closed twice");
      exchange_ = nullptr;
      --services_->open;
    }

   private:
    Services* services_;
    Exchange* exchange_;
    std::string text_;
  };
  class Chat final : public CallStream {
   public:
    explicit Chat(Call& call) : call_(&call) {}
    void message(Message m) override { call_->send({}, Bytes::copy(m.view())); }
    void half_closed() override { call_->finish({}); }

   private:
    Call* call_;
  };

  Method echo_;
  Method flood_;
  Method chat_;
};

Limits small_limits() {
  Limits limits;
  limits.max_concurrent_streams = 8;
  limits.max_header_bytes = 4096;
  limits.max_http1_body = 16U << 10U;
  limits.max_arriving = 64U << 10U;
  limits.stream_high_water = 16U << 10U;
  limits.max_queued_output = 1U << 20U;
  return limits;
}

class Port {
 public:
  Port()
      : connection_(std::make_shared<Connection>(hub_, [this](Transport::Observer& observer) {
          return std::make_unique<MemoryTransport>(wire, observer);
        })) {
    connection_->start();
  }
  ~Port() {
    connection_->close();
    connection_.reset();
    turn();
    require(services.open == 0, "an exchange that never ended");
    require(services.partial == 0, "memory of messages still counted");
    require(hub_.arriving == 0, "memory of requests still counted");
  }
  void turn() {
    io_.restart();
    for (int handlers = 0; io_.poll_one() != 0; ++handlers)
      require(handlers < 100'000, "the reactor never comes to rest");
  }
  void receive(std::string_view bytes) {
    if (!wire.closed) connection_->received(bytes);
  }
  void drain() {
    if (std::exchange(wire.unsent, 0) != 0 && !wire.closed) connection_->drained();
  }
  void tick(std::chrono::milliseconds passed) {
    hub_.now += passed;
    connection_->tick();
  }
  void shut_down() { connection_->begin_shutdown(); }
  void lose() { connection_->lost(); }

  Wire wire;
  Services services;

 private:
  boost::asio::io_context io_{1};
  Hub hub_{io_, services, small_limits()};
  std::shared_ptr<Connection> connection_;
};

// The first byte: how the rest is cut, and what happens meanwhile.
void run(Choices& choices) {
  const auto manner = choices.byte();
  Rng rng(manner);
  Port port;
  port.wire.slow = (manner & 1U) != 0;
  std::string_view wire = choices.rest();
  while (!wire.empty() && !port.wire.closed) {
    const std::size_t longest = (manner & 2U) != 0 ? 64U << 10U : 1 + (manner >> 4U);
    const auto piece = wire.substr(0, rng.between(1, longest));
    wire.remove_prefix(piece.size());
    port.receive(piece);
    if ((manner & 4U) == 0 || rng.chance(0.3)) port.turn();
    if (rng.chance(0.2)) port.drain();
    if ((manner & 8U) != 0 && rng.chance(0.05)) port.tick(std::chrono::seconds(rng.below(30)));
  }
  port.turn();
  port.drain();
  port.turn();
  if (manner % 3 == 0) port.shut_down();
  if (manner % 3 == 1) port.lose();
  port.turn();
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(http) {
  quorate::fuzz::Choices choices(input);
  quorate::fuzz::run(choices);
}
