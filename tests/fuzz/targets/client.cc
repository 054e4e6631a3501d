// Bytes of any server to our client: HTTP/2 frames, whole, damaged or made up, behind a connection over the
// loopback interface. Whatever comes, the client ends its wait for the connection once, and each call once,
// after its last message; then the loop comes to rest.
#include <array>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "choices.h"
#include "client/connection.h"
#include "client/frame.h"
#include "core/rng.h"
#include "fuzz.h"

namespace quorate::fuzz {
namespace {

using namespace client;

class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    require(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(fd_, 8) == 0 &&
                ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0,
            "no port to listen at");
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
    endpoint_ = {.host = "127.0.0.1", .port = std::to_string(ntohs(address.sin_port)), .text = "fuzz"};
  }
  ~Listener() { ::close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  // -1 while nobody has come.
  [[nodiscard]] int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
  Endpoint endpoint_;
};

class Caller final : public CallHandler {
 public:
  void on_message(std::string_view message) override {
    require(started && !ended && !cancelled, "a message where none is due");
    bytes += message.size();
  }
  void on_end(const Status&) override {
    require(started && !ended && !cancelled, "an end where none is due");
    ended = true;
  }
  bool started = false;
  bool ended = false;
  bool cancelled = false;
  std::size_t bytes = 0;
};

// HTTP/2's frames (RFC 9113 §4.1).
std::string frame_of(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out.append(payload);
}

// A literal field that is not indexed (RFC 7541 §6.2.2).
std::string field_of(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  for (const auto text : {name.substr(0, 126), value.substr(0, 126)}) {
    out += static_cast<char>(text.size());
    out += text;
  }
  return out;
}

std::string headers(Choices& choices) {
  static constexpr std::string_view statuses[] = {"200", "404", "503", "100", "x", ""};
  std::string block = field_of(":status", statuses[choices.below(std::size(statuses))]);
  if (choices.flip()) block += field_of("content-type", choices.flip() ? "application/grpc" : "text/html");
  return block;
}

std::string trailers(Choices& choices) {
  std::string block;
  if (choices.below(4) != 0) block += field_of("grpc-status", std::to_string(choices.number() % 20));
  if (choices.flip()) block += field_of("grpc-message", choices.text(20));
  if (choices.flip()) block += field_of(choices.text(8), choices.text(8));
  return block;
}

std::string some_frame(Choices& choices) {
  const auto stream = static_cast<std::uint32_t>(choices.below(8));
  switch (choices.below(12)) {
    case 0: return frame_of(4, 0, 0, {});                      // SETTINGS
    case 1: return frame_of(4, 1, 0, {});                      // its acknowledgement
    case 2: return frame_of(1, 4, stream, headers(choices));   // HEADERS
    case 3: return frame_of(1, 5, stream, trailers(choices));  // with END_STREAM
    case 4: return frame_of(0, 0, stream, client::frame(choices.text(60)));
    case 5: return frame_of(0, choices.byte() & 9U, stream, choices.text(60));
    case 6:
      return frame_of(3, 0, stream,
                      std::string(3, '\0') + static_cast<char>(choices.below(14)));  // RST_STREAM
    case 7:
      return frame_of(7, 0, 0,
                      std::string(3, '\0') + static_cast<char>(stream) + std::string(4, '\0'));  // GOAWAY
    case 8: return frame_of(6, choices.byte() & 1U, 0, std::string(8, 'p'));                     // PING
    case 9:
      return frame_of(8, 0, stream,
                      std::string(3, '\0') + static_cast<char>(choices.byte()));  // WINDOW_UPDATE
    case 10: return frame_of(choices.byte(), choices.byte(), stream, choices.text(40));
    default: return std::string(choices.text(20));
  }
}

std::string script(Choices& choices) {
  std::string wire;
  if (choices.below(8) != 0) wire = frame_of(4, 0, 0, {});
  if (choices.below(8) == 0) return wire.append(choices.rest());
  for (int frames = 0; frames < 60 && !choices.empty(); ++frames) wire += some_frame(choices);
  return wire;
}

void run(Choices& choices) {
  static Listener listener;
  static Loop loop;
  Rng rng(choices.byte());
  const auto manner = choices.byte();
  const std::string wire = script(choices);
  std::array<Caller, 3> callers;
  std::optional<Status> connected;
  int fd = -1;
  Connection connection(loop);
  const Time patience = Clock::now() + std::chrono::seconds(20);
  {
    const auto arrival = loop.on_readable(listener.fd(), [&] { fd = listener.accept(); });
    connection.connect(listener.endpoint(), std::chrono::seconds(10), [&](const Status& status) {
      require(!connected, "connected twice");
      connected = status;
    });
    require(loop.run_until([&] { return fd >= 0; }, patience), "nobody came");
  }
  std::array<CallId, 3> calls{};
  const auto start = [&](std::size_t i) {
    callers[i].started = true;
    calls[i] = connection.start("/etcdserverpb.KV/Range", frame("question"), i != 1, callers[i]);
  };
  std::size_t sent = 0;
  bool begun = false;
  const auto turn = [&] {
    if (connected && connected->ok() && !begun) {
      begun = true;
      for (std::size_t i = 0; i < callers.size(); ++i) start(i);
    }
    std::array<char, 4096> heard;  // so that the client never waits for us
    while (::read(fd, heard.data(), heard.size()) > 0) {
    }
    if ((manner & 1U) != 0 && begun && sent * 2 > wire.size() && !callers[1].ended && !callers[1].cancelled) {
      callers[1].cancelled = true;
      connection.cancel(calls[1]);
    }
  };
  while (sent < wire.size()) {
    const std::size_t piece = (manner & 2U) != 0 ? wire.size() : rng.between(1, 40);
    const auto n = ::send(fd, wire.data() + sent, std::min(piece, wire.size() - sent), MSG_NOSIGNAL);
    if (n <= 0) break;  // it hung up
    sent += static_cast<std::size_t>(n);
    loop.io().restart();
    loop.io().poll();
    turn();
    if ((manner & 4U) != 0 && begun) connection.send(calls[1], frame("more"), rng.chance(0.2));
  }
  ::shutdown(fd, SHUT_WR);
  const auto over = [&] {
    turn();
    for (const Caller& caller : callers) {
      if (caller.started && !caller.ended && !caller.cancelled) return false;
    }
    return connected.has_value() && !connection.open();
  };
  require(loop.run_until(over, patience), "the client still waits for a server that is gone");
  require(!connection.open(), "open without a server");
  // No port is left waiting for a peer that is known to be gone.
  const linger abrupt{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
  ::close(fd);
  Caller late;
  late.started = true;
  connection.start("/etcdserverpb.KV/Range", frame("question"), true, late);
  require(loop.run_until([&] { return late.ended; }, patience),
          "a call over a lost connection that never ends");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(client) {
  quorate::fuzz::Choices choices(input);
  quorate::fuzz::run(choices);
}
