// gRPC calls of every method with any body: the framing, the services and the model behind them. A call is
// answered once, and a unary call whose request is whole is answered at all.
#include "choices.h"
#include "etcd_server.h"
#include "fuzz.h"

namespace quorate::fuzz {
namespace {

std::string framed(const std::string& message, Choices& choices) {
  const auto flags = choices.byte();
  const auto length = flags >= 0xf0U ? choices.raw(4) : message.size();
  std::string frame(1, flags < 0xe0U ? '\0' : static_cast<char>(flags));
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(length >> shift);
  return frame + message;
}

std::string some_body(const RpcMethod& method, Choices& choices) {
  std::string body;
  for (auto messages = 1 + choices.below(3); messages > 0; --messages) {
    if (choices.below(4) == 0) {
      body += framed(std::string(choices.text(40)), choices);
    } else {
      const std::unique_ptr<google::protobuf::Message> request(method.request->New());
      fill(*request, choices);
      body += framed(request->SerializeAsString(), choices);
    }
  }
  if (choices.below(16) == 0) body += choices.text(16);
  return body;
}

void run(Choices& choices) {
  static constexpr std::string_view timeouts[] = {"", "1S", "100m", "0n", "99999999H", "-1S", "x"};
  EtcdServer server;
  for (int steps = 0; steps < 24 && !choices.empty(); ++steps) {
    const auto act = choices.below(6);
    if (act < 3 || server.exchanges.empty()) {
      const auto& method = etcd_methods()[choices.below(etcd_methods().size())];
      const auto timeout = timeouts[choices.below(std::size(timeouts))];
      std::map<std::string, std::string, std::less<>> headers{{"content-type", "application/grpc"}};
      if (!timeout.empty()) headers["grpc-timeout"] = timeout;
      if (choices.below(8) == 0) headers["hasleader"] = "true";
      auto& exchange = server.open(http::Version::http2, "POST", method.path, std::move(headers));
      const std::string request = some_body(method, choices);
      std::string_view body = request;
      const auto piece = 1 + choices.below(64);
      while (!body.empty()) {
        exchange.send(body.substr(0, piece));
        body.remove_prefix(std::min(piece, body.size()));
      }
      if (choices.below(4) != 0) exchange.end();
    } else {
      auto& exchange = server.exchanges[choices.below(server.exchanges.size())];
      if (act == 3) exchange.drain();
      if (act == 4) exchange.close();
      if (act == 5) exchange.pass_deadline();
    }
    if (choices.flip()) server.turn();
    if (choices.below(16) == 0) server.node.tick(std::chrono::seconds(choices.below(100)));
  }
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(grpc) {
  quorate::fuzz::Choices choices(input);
  quorate::fuzz::run(choices);
}
