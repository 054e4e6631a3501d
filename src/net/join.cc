#include "net/join.h"

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "net/connection.h"
#include "net/dial.h"

namespace quorate::net {
namespace {

class Joiner final : public ConnectionOwner {
 public:
  void control(Connection& connection, Control message) override {
    if (auto* invite = std::get_if<Invite>(&message)) {
      answer = std::move(*invite);
    } else if (auto* refuse = std::get_if<Refuse>(&message)) {
      answer = std::unexpected(connection.remote() + ": " + refuse->words);
    } else {
      answer = std::unexpected(connection.remote() + ": unexpected answer");
    }
    connection.close();
  }
  void frame(Connection&, KeyspaceId, Bytes) override {}
  void closed(Connection& connection, const std::string& reason) override {
    if (!answer) answer = std::unexpected(connection.remote() + ": " + reason);
  }

  std::optional<std::expected<Invite, std::string>> answer;
};

}  // namespace

std::expected<Invite, std::string> ask_to_join(const Address& member, const Hello& hello,
                                               std::chrono::milliseconds limit,
                                               const std::shared_ptr<tls::Context>& tls) {
  boost::asio::io_context context(1);
  Joiner joiner;
  std::shared_ptr<Connection> connection;
  dial(context, member, limit, tls, [&](std::expected<std::unique_ptr<Stream>, std::string> stream) {
    if (!stream) {
      joiner.answer = std::unexpected(stream.error());
      return;
    }
    connection =
        std::make_shared<Connection>(std::move(*stream), joiner, std::make_shared<Traffic>(), 1U << 20U);
    connection->start();
    connection->send_control(hello);
  });
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!joiner.answer && context.run_one_until(deadline) != 0) {
  }
  if (connection) connection->close();
  return joiner.answer.value_or(std::unexpected(to_string(member) + ": no answer in time"));
}

}  // namespace quorate::net
