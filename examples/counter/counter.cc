// A replicated counter: a state machine of one's own on libquorate. README.md tells how to run three of them.
#include <charconv>
#include <future>
#include <iostream>
#include <thread>

#include "registry/registry.h"
#include "runtime/node.h"

using namespace quorate;

// The state machine: deterministic, all state in the engine, so that it survives and travels in snapshots.
class Counter final : public models::Model {
 public:
  void open(storage::Engine& state) override { state_ = &state; }

  Bytes apply(const Bytes& command, storage::Transaction& txn) override {
    const auto text = command.view();
    long add = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), add).ec != std::errc()) {
      return Bytes::literal("not a number");
    }
    const auto sum = std::to_string(std::stol(read(txn)) + add);
    txn.put(table, "sum", sum);
    return Bytes::copy(sum);
  }
  Bytes query(const Bytes&) override { return Bytes::copy(read(*state_)); }
  Bytes digest() const override { return Bytes::copy(read(*state_)); }
  void committed(Index) override {}
  std::optional<Bytes> periodic(const models::ClockReading&) override { return std::nullopt; }

 private:
  static constexpr storage::Table table{1};
  static std::string read(const storage::Reader& from) {
    std::string sum;
    return from.get(table, "sum", sum) ? sum : "0";
  }
  storage::Engine* state_ = nullptr;
};

runtime::NodeConfig three_nodes(NodeId self, const registry::Descriptor& protocol) {
  runtime::NodeConfig config;
  config.identity.node = self;
  config.identity.cluster = ClusterId(4711);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    const net::Address address{.host = "127.0.0.1", .port = static_cast<std::uint16_t>(7100 + id)};
    config.identity.initial[NodeId(id)] = {"counter", {net::to_url(address)}, {}};
    if (NodeId(id) == self) config.listen = {address};
  }
  config.peer_urls = config.identity.initial[self].peer_urls;
  auto& keyspace = config.keyspaces.emplace_back();
  keyspace.name = "counter";
  keyspace.protocol = protocol.make;
  keyspace.model = [] { return std::make_unique<Counter>(); };
  return config;
}

// One line, one answer: "get" reads, anything else is proposed as a number to add.
std::string answer(runtime::Node& node, const std::string& line) {
  std::promise<std::string> done;
  node.post([&] {
    auto& counter = *node.keyspace("counter");
    if (line == "get") {
      counter.read(replicated_log::ReadMode::quorum, [&](replica::Outcome<Index> at) {
        done.set_value(at ? counter.model().query({}).str() : replica::to_string(at.error()));
      });
    } else {
      counter.propose(Bytes::copy(line), [&](replica::Outcome<Bytes> result) {
        done.set_value(result ? result->str() : replica::to_string(result.error()));
      });
    }
  });
  return done.get_future().get();
}

int main(int argc, char** argv) {
  const std::string id = argc > 1 ? argv[1] : "";
  const auto protocol = registry::find(argc > 3 ? argv[3] : "raft");
  if (argc < 3 || (id != "1" && id != "2" && id != "3") || !protocol) {
    std::cerr << "usage: counter 1|2|3 DIRECTORY [PROTOCOL]\n" << (protocol ? "" : protocol.error() + "\n");
    return 2;
  }
  boost::asio::io_context context(1);
  const auto fail = [](const std::string& why) { return std::cerr << why << "\n", 1; };
  auto directory = runtime::DataDirectory::open(argv[2]);
  if (!directory) return fail(directory.error());
  auto node =
      runtime::Node::open(context, std::move(*directory), three_nodes(NodeId(std::stoul(id)), **protocol));
  if (!node) return fail(node.error());
  std::jthread reader([&] {
    for (std::string line; std::getline(std::cin, line);) std::cout << answer(**node, line) << std::endl;
    (*node)->stop();
  });
  const auto ended = (*node)->run();
  if (!ended) std::_Exit(fail(ended.error()));  // the reader may wait for a line for ever
}
