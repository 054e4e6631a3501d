#include "tool/probe.h"

#include <iostream>
#include <memory>
#include <vector>

#include <unistd.h>

#include "client/etcd.h"
#include "client/frame.h"

namespace quorate::faults {
namespace {

using client::Clock;

long nanoseconds(client::Time time) { return std::chrono::nanoseconds(time.time_since_epoch()).count(); }

class Probe {
 public:
  Probe(client::Loop& loop, std::vector<client::Endpoint> endpoints, std::chrono::milliseconds interval)
      : loop_(loop), endpoints_(std::move(endpoints)), due_(Clock::now()), interval_(interval) {
    etcdserverpb::PutRequest request;
    request.set_key("probe");
    request.set_value(std::string(256, 'v'));
    put_ = client::frame(request.SerializeAsString());
    connections_.resize(endpoints_.size());
    for (std::size_t i = 0; i < endpoints_.size(); ++i) connect(i);
    timer_ = loop_.every(interval, [this] { send(); });
  }

 private:
  struct Put final : client::CallHandler {
    explicit Put(client::Time when, std::size_t to) : due(when), endpoint(to) {}
    void on_message(std::string_view) override {}
    void on_end(const client::Status& status) override {
      std::cout << nanoseconds(due) << ' ' << nanoseconds(Clock::now()) << ' '
                << static_cast<int>(status.code) << ' ' << endpoint << std::endl;
      delete this;
    }
    client::Time due;
    std::size_t endpoint;
  };

  void connect(std::size_t i) {
    connections_[i] = std::make_shared<client::Connection>(loop_);
    connections_[i]->connect(endpoints_[i], std::chrono::seconds(1), [](const client::Status&) {});
  }

  void send() {
    due_ += interval_;
    auto& connection = connections_[next_ % connections_.size()];
    if (connection->open()) {
      connection->start(client::rpc::put.path, put_, true, *new Put(due_, next_ % connections_.size()));
    }
    ++next_;
  }

  client::Loop& loop_;
  std::vector<client::Endpoint> endpoints_;
  std::vector<std::shared_ptr<client::Connection>> connections_;
  std::string put_;
  client::Time due_;
  std::chrono::milliseconds interval_;
  client::Loop::Handle timer_;
  std::size_t next_ = 0;
};

}  // namespace

int run_probe(const std::string& endpoints, std::chrono::milliseconds interval) {
  auto parsed = client::parse_endpoints(endpoints);
  if (!parsed) {
    std::cerr << parsed.error() << std::endl;
    return 2;
  }
  client::Loop loop;
  Probe probe(loop, std::move(*parsed), interval);
  bool ended = false;
  const auto input = loop.on_readable(STDIN_FILENO, [&] {
    char ignored[64];
    ended = ::read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
  });
  loop.run_until([&] { return ended; });
  std::cout.flush();
  ::_exit(0);  // without waiting for answers that may never come
}

}  // namespace quorate::faults
