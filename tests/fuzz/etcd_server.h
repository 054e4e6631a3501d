// The whole etcd API over a node in memory, for targets that call it.
#pragma once

#include <deque>
#include <string>

#include "api/etcd/etcd_api.h"
#include "api/etcd/testing/fake_node.h"
#include "memory_exchange.h"
#include "protobuf.h"

namespace quorate::fuzz {

inline const std::vector<RpcMethod>& etcd_methods() {
  static const auto methods = rpc_methods(
      {"api/proto/rpc.proto", "api/proto/lock.proto", "api/proto/election.proto", "api/proto/health.proto"});
  return methods;
}

class EtcdServer {
 public:
  EtcdServer() : node(io), api(io, node) {}
  ~EtcdServer() {
    exchanges.clear();
    turn();
  }

  MemoryExchange& open(http::Version version, std::string method, std::string target,
                       std::map<std::string, std::string, std::less<>> headers) {
    auto& exchange =
        exchanges.emplace_back(version, std::move(method), std::move(target), std::move(headers));
    api.handler().handle(exchange);
    return exchange;
  }
  // Lets the reactor run; work that begets work for ever would be a finding.
  void turn() {
    io.restart();
    for (int handlers = 0; io.poll_one() != 0; ++handlers)
      require(handlers < 100'000, "the reactor never comes to rest");
  }

  boost::asio::io_context io{1};
  api::etcd::FakeNode node;
  api::etcd::EtcdApi api;
  std::deque<MemoryExchange> exchanges;
};

}  // namespace quorate::fuzz
