#include "tool/proxy.h"

#include <array>
#include <deque>
#include <expected>
#include <iostream>
#include <optional>
#include <sstream>

#include <boost/asio/connect.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <unistd.h>

#include "core/codec.h"
#include "net/frame.h"

namespace quorate::faults {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostHeld = 4U << 20U;  // bytes of one direction; beyond, the sender feels it
constexpr std::size_t kChunk = 64U << 10U;

tcp::endpoint local(std::uint16_t port) { return {asio::ip::address_v4::loopback(), port}; }

// What was read and waits to be let through; an empty one is the end of the stream.
struct Chunk {
  Clock::time_point due;
  std::string bytes;
};

// One direction of one connection.
struct Flow {
  Flow(tcp::socket& in, tcp::socket& out) : source(in), sink(out), timer(in.get_executor()) {}
  tcp::socket& source;
  tcp::socket& sink;
  asio::steady_timer timer;
  std::deque<Chunk> held;
  std::size_t held_bytes = 0;
  std::array<char, kChunk> buffer{};
  bool reading = false;
  bool writing = false;
  bool ended = false;  // the source has nothing more
};

}  // namespace

struct Proxy::Node {
  Node(asio::io_context& context, std::string called, std::uint16_t on, std::uint16_t to)
      : name(std::move(called)), port(on), target(to), acceptor(context) {}
  std::string name;
  std::uint16_t port;
  std::uint16_t target;
  tcp::acceptor acceptor;
};

// A dialler's connection and ours to the node it wants.
struct Proxy::Pair : std::enable_shared_from_this<Proxy::Pair> {
  Pair(Proxy& owner, tcp::socket accepted, std::string node)
      : proxy(owner),
        to(std::move(node)),
        dialler(std::move(accepted)),
        acceptor(dialler.get_executor()),
        forth(dialler, acceptor),
        back(acceptor, dialler),
        hello(net::max_control_bytes) {}

  void start(std::uint16_t target) {
    acceptor.async_connect(local(target), [self = shared_from_this()](error_code error) {
      if (error) return self->close();
      error_code ignored;
      self->dialler.set_option(tcp::no_delay(true), ignored);
      self->acceptor.set_option(tcp::no_delay(true), ignored);
      self->read(self->forth);
      self->read(self->back);
    });
  }

  void close() {
    error_code ignored;
    dialler.close(ignored);
    acceptor.close(ignored);
    forth.timer.cancel();
    back.timer.cancel();
  }

  void read(Flow& flow) {
    if (flow.reading || flow.ended || flow.held_bytes >= kMostHeld || !flow.source.is_open()) return;
    flow.reading = true;
    flow.source.async_read_some(asio::buffer(flow.buffer),
                                [self = shared_from_this(), &flow](error_code error, std::size_t bytes) {
                                  flow.reading = false;
                                  if (error == asio::error::operation_aborted) return;
                                  self->hold(flow, {flow.buffer.data(), error ? 0 : bytes});
                                  self->read(flow);
                                });
  }

  void hold(Flow& flow, std::string_view bytes) {
    if (&flow == &forth && !from) identify(bytes);
    const Link& link = rule(flow);
    std::string held(bytes);
    if (!held.empty() && link.corrupt_per_mille != 0 && proxy.rng_.below(1000) < link.corrupt_per_mille) {
      char& byte = held[proxy.rng_.below(held.size())];
      byte = static_cast<char>(static_cast<unsigned char>(byte) ^ 1U << proxy.rng_.below(8));
      ++proxy.flipped_;
    }
    auto due = Clock::now() + link.delay;
    if (link.jitter.count() > 0) {
      due += std::chrono::microseconds(proxy.rng_.below(static_cast<std::uint64_t>(link.jitter.count())));
    }
    if (link.stall_percent != 0 && proxy.rng_.below(100) < link.stall_percent) due += link.stall;
    if (!flow.held.empty()) due = std::max(due, flow.held.back().due);  // a stream keeps its order
    flow.ended = flow.ended || bytes.empty();
    flow.held_bytes += bytes.size();
    flow.held.push_back({due, std::move(held)});
    pump(flow);
  }

  // The dialler tells who it is before anything else; until then its bytes count as a stranger's.
  void identify(std::string_view bytes) {
    const auto space = hello.prepare();
    const auto taken = std::min(space.size, bytes.size());
    bytes.copy(space.data, taken);
    hello.commit(taken);
    const auto frame = hello.next();
    if (!frame || !*frame) return;
    const auto message = codec::decode<net::Control>((*frame)->payload);
    const auto* said = message ? std::get_if<net::Hello>(&*message) : nullptr;
    from = said ? proxy.name_of(said->peer_urls) : "?";
  }

  [[nodiscard]] const Link& rule(const Flow& flow) const {
    const std::string& other = from ? *from : std::string();
    return &flow == &forth ? proxy.link(other, to) : proxy.link(to, other);
  }

  void pump(Flow& flow) {
    if (flow.writing || flow.held.empty() || rule(flow).blocked) return;
    const auto now = Clock::now();
    if (flow.held.front().due > now) {
      flow.timer.expires_at(flow.held.front().due);
      flow.timer.async_wait([self = shared_from_this(), &flow](error_code error) {
        if (!error) self->pump(flow);
      });
      return;
    }
    if (flow.held.front().bytes.empty()) return close();
    flow.writing = true;
    asio::async_write(flow.sink, asio::buffer(flow.held.front().bytes),
                      [self = shared_from_this(), &flow](error_code error, std::size_t) {
                        flow.writing = false;
                        // The receiver is gone; the sender learns of it only if news can travel back.
                        if (error) return self->lost(flow);
                        flow.held_bytes -= flow.held.front().bytes.size();
                        flow.held.pop_front();
                        self->pump(flow);
                        self->read(flow);
                      });
  }

  void lost(Flow& flow) {
    Flow& opposite = &flow == &forth ? back : forth;
    if (!rule(opposite).blocked) close();
  }

  Proxy& proxy;
  std::string to;
  std::optional<std::string> from;
  tcp::socket dialler;
  tcp::socket acceptor;
  Flow forth;
  Flow back;
  net::FrameReader hello;
};

Proxy::Proxy(asio::io_context& context, std::uint64_t seed) : context_(context), rng_(seed) {}
Proxy::~Proxy() = default;

bool Proxy::add(const std::string& name, std::uint16_t port, std::uint16_t target) {
  auto node = std::make_unique<Node>(context_, name, port, target);
  error_code error;
  node->acceptor.open(tcp::v4(), error);
  if (!error) node->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) node->acceptor.bind(local(port), error);
  if (!error) node->acceptor.listen(128, error);
  if (error) return false;
  auto& kept = nodes_[name] = std::move(node);
  accept(*kept);
  return true;
}

void Proxy::accept(Node& node) {
  node.acceptor.async_accept([this, &node](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      auto pair = std::make_shared<Pair>(*this, std::move(socket), node.name);
      std::erase_if(pairs_, [](const auto& each) { return each.expired(); });
      pairs_.push_back(pair);
      pair->start(node.target);
    }
    accept(node);
  });
}

const Link& Proxy::link(const std::string& from, const std::string& to) const {
  static const Link open;
  const auto found = links_.find({from, to});
  return found == links_.end() ? open : found->second;
}

std::string Proxy::name_of(const std::vector<std::string>& peer_urls) const {
  for (const auto& [name, node] : nodes_) {
    const std::string port = ":" + std::to_string(node->port);
    for (const auto& url : peer_urls) {
      if (url.ends_with(port)) return name;
    }
  }
  return "?";
}

void Proxy::set(const std::string& from, const std::string& to, const Link& link) {
  links_[{from, to}] = link;
  for (const auto& each : pairs_) {
    if (const auto pair = each.lock()) {
      pair->pump(pair->forth);
      pair->pump(pair->back);
    }
  }
}

std::uint64_t Proxy::reset(const std::string& a, const std::string& b) {
  std::uint64_t closed = 0;
  for (const auto& each : pairs_) {
    const auto pair = each.lock();
    if (!pair || !pair->from) continue;
    if ((pair->from != a || pair->to != b) && (pair->from != b || pair->to != a)) continue;
    pair->close();
    ++closed;
  }
  return closed;
}

namespace {

class Commands {
 public:
  Commands(asio::io_context& context, std::uint64_t seed)
      : input_(context, ::dup(STDIN_FILENO)), proxy_(context, seed) {}

  void read() {
    asio::async_read_until(input_, buffer_, '\n', [this](error_code error, std::size_t) {
      if (error) return input_.get_executor().context().stop();
      std::istream stream(&buffer_);
      std::string line;
      std::getline(stream, line);
      std::istringstream words(line);
      const auto done = obey(words);
      std::cout << (done ? "ok " + std::to_string(*done) : "error: " + done.error() + ": " + line)
                << std::endl;
      read();
    });
  }

 private:
  // What it counted, if anything.
  std::expected<std::uint64_t, std::string> obey(std::istringstream& words) {
    const auto not_understood = std::unexpected("not understood");
    std::string verb;
    std::string a;
    std::string b;
    words >> verb >> a;
    if (verb == "flipped") return proxy_.flipped();
    if (verb == "node") {
      std::uint16_t port = 0;
      std::uint16_t target = 0;
      if (!(words >> port >> target)) return not_understood;
      if (!proxy_.add(a, port, target)) return std::unexpected("the port is taken");
      return 0;
    }
    if (!(words >> b)) return not_understood;
    if (verb == "reset") return proxy_.reset(a, b);
    Link link;
    if (verb != "link" || !parse(words, link)) return not_understood;
    proxy_.set(a, b, link);
    return 0;
  }

  static bool parse(std::istringstream& words, Link& link) {
    std::string how;
    words >> how;
    if (how == "block") link.blocked = true;
    if (how == "corrupt") return static_cast<bool>(words >> link.corrupt_per_mille);
    if (how != "slow") return how == "pass" || how == "block";
    double delay = 0;
    double jitter = 0;
    double stall = 0;
    if (!(words >> delay >> jitter >> link.stall_percent >> stall)) return false;
    const auto ms = [](double value) {
      return std::chrono::microseconds(static_cast<std::int64_t>(value * 1000));
    };
    link.delay = ms(delay);
    link.jitter = ms(jitter);
    link.stall = ms(stall);
    return true;
  }

  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> input_;
  asio::streambuf buffer_;
  Proxy proxy_;
};

}  // namespace

int run_proxy(std::uint64_t seed) {
  asio::io_context context(1);
  Commands commands(context, seed);
  commands.read();
  context.run();
  return 0;
}

}  // namespace quorate::faults
