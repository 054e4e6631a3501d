// What all client verbs share: their common flags, finding the cluster, exit codes, error texts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "client/client.h"

namespace quorate::cli {

// etcdctl's.
enum Exit : int {
  kOk = 0,
  kError = 1,  // the server said no, or could not be reached
  kBadConnection = 2,
  kInvalidInput = 3,  // what came on standard input makes no sense
  kBadFeature = 4,    // a flag's value is not one of those there are
  kInterrupted = 5,
  kIo = 6,  // a local file or standard output
  kBadArguments = 128,
};

enum class Format { simple, json, table, fields };

struct Globals {
  std::string endpoints;
  std::string write_out = "simple";
  bool json = false;
  bool hex = false;
  double dial_timeout = 2;  // seconds, all of them
  double command_timeout = 5;
  double keepalive_time = 10;
  double keepalive_timeout = 6;
  std::string ca;
  std::string certificate;
  std::string key;
  bool skip_verify = false;
  bool insecure_transport = true;
  std::string user;
  std::string password;
};

// How many of the words in front are common options and their values: etcdctl takes these in front of the
// verb, too.
[[nodiscard]] std::size_t common_in_front(std::span<const std::string> args);

// One verb's command line, from its words to its exit code.
class Command {
 public:
  using Action = std::function<int()>;

  // `notes` is printed below the options: examples and what a user must know.
  Command(const std::string& name, const std::string& summary, const std::string& notes);

  [[nodiscard]] CLI::App& app() { return app_; }
  // `quorate NAME SUB …`.
  CLI::App& sub(const std::string& name, const std::string& summary, Action action);
  // Parses, then runs the action of the subcommand given, or `action`.
  int run(std::vector<std::string> args, Action action = nullptr);

  [[nodiscard]] Format format() const;
  [[nodiscard]] bool hex() const { return globals_.hex; }
  // Keys and values in the simple format.
  [[nodiscard]] std::string shown(std::string_view bytes) const;

  // Throws Failure if the endpoints, or the certificates, make no sense, or if the user is refused.
  [[nodiscard]] std::unique_ptr<client::Client> connect() const;
  [[nodiscard]] std::unique_ptr<client::Client> connect(std::vector<client::Endpoint> endpoints) const;
  [[nodiscard]] std::vector<client::Endpoint> endpoints() const;
  // "127.0.0.1:2379", as a server lists itself: over TLS where the user's flags say so. Throws Failure.
  [[nodiscard]] std::vector<client::Endpoint> endpoints(const std::string& list) const;
  // For calls as the user that --user names. Throws Failure.
  [[nodiscard]] client::Metadata credentials(const std::vector<client::Endpoint>& endpoints) const;

 private:
  void define_globals();
  void define_timeouts();
  void define_security();
  CLI::Option* common(CLI::Option* option);
  [[nodiscard]] std::shared_ptr<tls::Context> tls() const;
  [[nodiscard]] client::Options options(std::vector<client::Endpoint> endpoints) const;

  CLI::App app_;
  Globals globals_;
  std::vector<std::pair<CLI::App*, Action>> actions_;
  mutable std::string local_ca_;                         // of the local cluster, if that is meant
  mutable std::shared_ptr<tls::Context> tls_;            // once it was needed
  mutable std::optional<client::Metadata> credentials_;  // likewise
};

// Ends a verb from anywhere below Command::run: prints `Error: text` and exits with `code`.
struct Failure {
  int code;
  std::string text;
};

// The value of an answer, or the end of the verb.
template <class T>
T expect(std::expected<T, client::Status> answer) {
  if (!answer) throw Failure{kError, answer.error().message};
  return std::move(*answer);
}

// To standard output; a failure to write ends the verb.
void print(std::string_view text);
void flush();
void print_error(std::string_view text);

// Duration such as 500ms, 3s, 2m; plain numbers are seconds. Throws Failure.
[[nodiscard]] std::chrono::nanoseconds parse_duration(const std::string& text);
[[nodiscard]] std::int64_t parse_lease(const std::string& text);    // hexadecimal
[[nodiscard]] std::uint64_t parse_member(const std::string& text);  // hexadecimal

// What shell completion needs to know of a verb; filled instead of running it.
struct Described {
  std::string name;
  std::string summary;
  std::vector<std::pair<std::string, std::string>> options;  // "--prefix", help
  std::vector<Described> subcommands;
};
// While set, Command::run describes itself here and does nothing else.
void describe_into(Described* sink);
// True, and the verb has nothing else to do, while that is so.
[[nodiscard]] bool described(const CLI::App& app);
// Takes the words of a verb of the server. The exit code if it ends here: its help was asked for, or the
// words make no sense; else nothing.
[[nodiscard]] std::optional<int> ended_by_words(CLI::App& app, std::vector<std::string> args);

}  // namespace quorate::cli
