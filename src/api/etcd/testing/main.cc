// Runs the tests; with --serve PORT instead a fake node, for clients and load generators tried by hand.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <boost/asio/signal_set.hpp>
#include <gtest/gtest.h>

#include "api/etcd/etcd_api.h"
#include "api/etcd/testing/fake_node.h"
#include "api/http/listener.h"

namespace {

int serve(std::uint16_t port) {
  using namespace quorate;
  boost::asio::io_context io(1);
  api::etcd::FakeNode node(io);
  api::etcd::EtcdApi api(io, node);
  http::Listener listener(io, api.handler());
  if (auto listening = listener.listen("127.0.0.1", port); !listening) {
    std::fprintf(stderr, "%s\n", listening.error().c_str());
    return 1;
  }
  boost::asio::steady_timer clock(io);
  std::function<void()> tick = [&] {
    clock.expires_after(std::chrono::milliseconds(250));
    clock.async_wait([&](const auto& cancelled) {
      if (cancelled) return;
      node.tick(std::chrono::milliseconds(250));
      tick();
    });
  };
  tick();
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](const auto&, int) {
    api.stop();
    clock.cancel();
    listener.shutdown([&] { io.stop(); });
  });
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--serve")
    return serve(static_cast<std::uint16_t>(std::atoi(argv[2])));
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
