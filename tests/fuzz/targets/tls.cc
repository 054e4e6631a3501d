// Certificates, keys, trusted CAs and lists of revoked ones: whole, damaged, cut short, swapped,
// concatenated, replaced while in use. They open, or one line says which file is wrong; two ends that open
// come to an end of their handshake, whatever happens to its bytes on the way, and what one says is what the
// other hears.
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <spdlog/spdlog.h>

#include "choices.h"
#include "fuzz.h"
#include "tls/channel.h"
#include "tls/context.h"
#include "tls/testing/authority.h"

namespace quorate::fuzz {
namespace {

using namespace tls;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What an operator may have lying around.
class Drawer {
 public:
  Drawer() {
    spdlog::set_level(spdlog::level::off);
    const auto good = authority_.issue("good");
    const auto other = authority_.issue("other");
    const auto late = authority_.issue("late", {.cn = "late", .valid_from = -100, .valid_until = -50});
    const auto nameless = authority_.issue("nameless", {.cn = "", .names = "", .usage = "clientAuth"});
    const auto foreign = foreigners_.issue("good");
    const std::string crl = authority_.revoke(other);
    std::size_t next = 0;
    for (const auto& file :
         {good.certificate, good.key, authority_.ca(), crl, other.certificate, other.key, late.certificate,
          late.key, nameless.certificate, nameless.key, foreign.certificate, foreign.key, foreigners_.ca()})
      papers_.at(next++) = read_file(file);
  }
  [[nodiscard]] const std::string& paper(std::size_t which) const { return papers_[which % papers_.size()]; }
  [[nodiscard]] std::string path(const std::string& name) const { return authority_.path("fuzz-" + name); }

 private:
  testing::Authority authority_{"ours"};
  testing::Authority foreigners_{"theirs"};
  std::array<std::string, 14> papers_;  // the last one is empty
};

const Drawer& drawer() {
  static const Drawer the;
  return the;
}

// `usual` as it is, or something else, or damaged.
std::string material(Choices& choices, std::size_t usual) {
  const auto manner = choices.byte();
  std::string text = drawer().paper((manner & 1U) != 0 ? choices.byte() : usual);
  if ((manner & 2U) != 0) text += drawer().paper(choices.byte());
  if ((manner & 4U) != 0) text.resize(choices.below(text.size() + 1));
  if ((manner & 8U) != 0 && !text.empty()) {
    for (auto n = 1 + choices.below(4); n > 0; --n)
      text[choices.below(text.size())] = static_cast<char>(choices.byte());
  }
  if ((manner & 16U) != 0) text.insert(choices.below(text.size() + 1), choices.text(30));
  return text;
}

void write_file(const std::string& name, const std::string& text) {
  std::ofstream(drawer().path(name), std::ios::binary | std::ios::trunc) << text;
}

Settings make(Choices& choices, const std::string& side) {
  Settings settings;
  const auto manner = choices.byte();
  write_file(side + ".pem", material(choices, 0));
  write_file(side + "-key.pem", material(choices, 1));
  write_file(side + "-ca.pem", material(choices, 2));
  settings.certificate = drawer().path(side + ".pem");
  settings.key = drawer().path(side + "-key.pem");
  settings.ca = drawer().path(side + "-ca.pem");
  if ((manner & 1U) != 0) {
    write_file(side + "-crl.pem", material(choices, 3));
    settings.crl = drawer().path(side + "-crl.pem");
  }
  if ((manner & 2U) != 0) settings.verify = false;
  if ((manner & 4U) != 0) settings.allowed_cn = choices.flip() ? "good" : std::string(choices.text(8));
  if ((manner & 8U) != 0) settings.allowed_host = choices.flip() ? "localhost" : std::string(choices.text(8));
  if ((manner & 16U) != 0) settings.alpn = {"h2"};
  if ((manner & 32U) != 0) settings.highest = Version::tls12;
  if ((manner & 64U) != 0) settings.certificate = drawer().path("nowhere");
  return settings;
}

std::shared_ptr<Context> open(Side side, const Settings& settings) {
  auto context = Context::open(side, settings);
  if (context) return *context;
  require(!context.error().empty(), "a refusal without a reason");
  require(context.error().find('\n') == std::string::npos, "a refusal of several lines: " + context.error());
  return nullptr;
}

// All that `from` has to say, perhaps damaged; false when `to` has had enough.
bool carry(Channel& from, Channel& to, std::string& heard, Choices& choices, bool& harmed) {
  std::string wire(from.output());
  from.output_taken();
  if (choices.byte() >= 0xf0U && !wire.empty()) {
    wire[choices.below(wire.size())] = static_cast<char>(choices.byte());
    harmed = true;
  }
  while (!wire.empty()) {
    const std::size_t piece = choices.flip() ? wire.size() : 1 + choices.below(wire.size());
    const auto done = to.receive(wire.substr(0, piece), heard);
    if (!done) {
      require(!done.error().empty(), "an error without words");
      return false;
    }
    wire.erase(0, piece);
  }
  return true;
}

void talk(Context& server_side, Context& client_side, Choices& choices) {
  Channel server(server_side);
  Channel client(client_side, choices.below(4) != 0 ? "localhost" : std::string(choices.text(10)));
  std::string to_server;
  std::string to_client;
  bool harmed = false;
  client.send("question");
  server.send("answer");
  if (!client.receive({}, to_client)) return;
  for (int turns = 0; turns < 12; ++turns) {
    if (!carry(client, server, to_server, choices, harmed) ||
        !carry(server, client, to_client, choices, harmed))
      return;
  }
  require(std::string_view("question").starts_with(to_server), "the server heard what was not said");
  require(std::string_view("answer").starts_with(to_client), "the client heard what was not said");
  require(harmed || (server.ready() && client.ready()), "a handshake that never ends");
  if (!harmed) require(to_server == "question" && to_client == "answer", "something was not heard");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(tls) {
  using namespace quorate;
  fuzz::Choices choices(input);
  const auto server = fuzz::open(tls::Side::server, fuzz::make(choices, "server"));
  const auto client = fuzz::open(tls::Side::client, fuzz::make(choices, "client"));
  if (server && client) fuzz::talk(*server, *client, choices);
  if (!server) return;
  fuzz::write_file("server.pem", fuzz::material(choices, 4));  // renewed, perhaps before its key
  fuzz::write_file("server-key.pem", fuzz::material(choices, 5));
  (void)server->current();
  if (client) fuzz::talk(*server, *client, choices);
}
