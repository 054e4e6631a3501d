// A handler for tests of the port alone: gRPC methods that echo, hold, flood and fail, and plain pages.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/http/grpc.h"
#include "api/http/listener.h"

namespace quorate::http::testing {

class Echo final : public Handler, public CallHost {
 public:
  Echo() {
    unary("/t/Echo", [](const CallPtr& call, const Message& m) { call->reply({}, Bytes::copy(m.view())); });
    unary("/t/Fail", [](const CallPtr& call, const Message& m) {
      call->finish({Code::invalid_argument, std::string(m.view())});
    });
    unary("/t/Hold", [this](const CallPtr& call, const Message&) { held.push_back(call); });
    unary("/t/Big", [](const CallPtr& call, const Message& m) {
      call->reply("front", Bytes::adopt(std::string(std::stoul(std::string(m.view())), 'x')));
    });
    Method flood{.path = "/t/Flood", .server_streams = true};
    flood.call = [this](const CallPtr& call, const Message&) {
      auto stream = std::make_unique<FloodStream>(*this, *call);
      FloodStream& started = *stream;
      call->attach(std::move(stream));
      started.writable();
    };
    add(std::move(flood));
    Method chat{.path = "/t/Chat", .client_streams = true, .server_streams = true};
    chat.open = [](const CallPtr& call) { return std::make_unique<ChatStream>(*call); };
    add(std::move(chat));
  }

  void handle(Exchange& exchange) override {
    if (grpc::is_grpc(exchange.header("content-type"))) {
      const auto at = methods_.find(std::string(exchange.path()));
      if (at == methods_.end()) return grpc::refuse(exchange, {Code::unimplemented, "unknown method"});
      return grpc::serve(exchange, *this, *at->second);
    }
    if (exchange.version() == Version::websocket) return exchange.accept(new Lines(exchange));
    exchange.accept(new Page(exchange));
  }
  bool speaks_websocket(const Exchange&) override { return true; }
  Status admit(const Call&) override { return {}; }
  void started(const Method&) override { ++begun; }
  void handled(const Method&, Code code, Clock::duration) override { codes.push_back(code); }

  std::vector<CallPtr> held;
  std::vector<Code> codes;
  int begun = 0;
  std::size_t flooded = 0;     // bytes a flood has written
  std::size_t flood_peak = 0;  // written ahead of the connection, at most

 private:
  // Answers each line with as many bytes as it says; "end" ends.
  class Lines final : public Receiver {
   public:
    explicit Lines(Exchange& exchange) : exchange_(&exchange) {}
    void body(std::string_view chunk) override {
      line_ += chunk;
      if (!line_.ends_with('\n')) return;
      const std::string line = std::exchange(line_, {});
      if (line == "end\n") return exchange_->finish();
      exchange_->write(Piece(Bytes::adopt(std::string(std::stoul(line), 'x'))));
    }
    void body_end() override {}
    void closed() override { exchange_ = nullptr; }

   private:
    Exchange* exchange_;
    std::string line_;
  };
  // Echoes its body, with the path and a header in front; /big?N is N bytes more, /hold has no end.
  class Page final : public Receiver {
   public:
    explicit Page(Exchange& exchange)
        : exchange_(&exchange),
          text_(std::string(exchange.target()) + "|" + std::string(exchange.header("x-test")) + "|") {}
    void body(std::string_view chunk) override { text_ += chunk; }
    void body_end() override {
      if (exchange_->path() == "/hold") return exchange_->respond(200, {});
      if (exchange_->path() == "/big") text_.append(std::stoul(std::string(exchange_->query())), 'x');
      const std::string size = std::to_string(text_.size());
      const Field fields[] = {{"content-length", size}};
      exchange_->respond(200, fields);
      exchange_->write(Piece(Bytes::adopt(std::move(text_))));
      exchange_->finish();
    }
    void closed() override { exchange_ = nullptr; }

   private:
    Exchange* exchange_;
    std::string text_;
  };
  class FloodStream final : public CallStream {
   public:
    FloodStream(Echo& echo, Call& call) : echo_(echo), call_(&call) {}
    void writable() override {
      std::size_t now = 0;
      while (call_->has_room()) {
        call_->send({}, Bytes::adopt(std::string(10'000, 'f')));
        echo_.flooded += 10'000;
        now += 10'000;
      }
      echo_.flood_peak = std::max(echo_.flood_peak, now);
    }

   private:
    Echo& echo_;
    Call* call_;
  };
  class ChatStream final : public CallStream {
   public:
    explicit ChatStream(Call& call) : call_(&call) {}
    void message(Message m) override { call_->send({}, Bytes::copy(m.view())); }
    void half_closed() override { call_->finish({}); }

   private:
    Call* call_;
  };

  void unary(std::string path, std::function<void(CallPtr, Message)> call) {
    add({.path = std::move(path), .call = std::move(call)});
  }
  void add(Method method) {
    auto owned = std::make_unique<Method>(std::move(method));
    methods_[owned->path] = std::move(owned);
  }
  std::map<std::string, std::unique_ptr<Method>> methods_;
};

// A listener on a free port with an Echo behind it.
struct EchoServer {
  explicit EchoServer(Limits limits = {}) : listener(io, echo, limits) {
    if (!listener.listen("127.0.0.1", 0)) throw std::runtime_error("listen");
  }
  ~EchoServer() { echo.held.clear(); }
  [[nodiscard]] std::uint16_t port() const { return listener.port(); }
  boost::asio::io_context io{1};
  Echo echo;
  Listener listener;
};

}  // namespace quorate::http::testing
