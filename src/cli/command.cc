#include "cli/command.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/text.h"
#include "server/server.h"

namespace quorate::cli {
namespace {

constexpr const char* kCommonGroup = "Common options";

constexpr const char* kCommonNotes = R"(
ENDPOINTS
  --endpoints, else the cluster in data/cluster.json (a local one started here; its certificate,
  too), else 127.0.0.1:2379. https:// is TLS, http:// is not; without either, TLS if a
  certificate is named.

ENVIRONMENT
  Each common option has a variable: QUORATE_CACERT, else ETCDCTL_CACERT, for --cacert.
  NO_COLOR: no colours on a terminal; elsewhere there are none.

EXIT STATUS
  0 done; 1 the cluster refused or was not reached; 3 standard input makes no sense;
  4 a flag's value is not known; 5 interrupted or cancelled; 6 a file or the output
  cannot be written; 128 wrong arguments.)";

Described* description_sink = nullptr;

Described describe(const CLI::App& app) {
  Described out{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // not for everybody
    for (const auto& name : option->get_lnames())
      out.options.emplace_back("--" + name, option->get_description());
    for (const auto& name : option->get_snames())
      out.options.emplace_back("-" + name, option->get_description());
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.subcommands.push_back(describe(*sub));
  }
  return out;
}

std::uint64_t parse_hex(const std::string& text, std::string_view what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Failure{kBadArguments, fmt::format("bad {} \"{}\": expecting an ID in hexadecimal", what, text)};
  }
  return value;
}

}  // namespace

Command::Command(const std::string& name, const std::string& summary, const std::string& notes)
    : app_(summary, "quorate " + name) {
  app_.footer(notes + "\n" + kCommonNotes);
  app_.formatter(std::make_shared<HelpPage>());
  app_.fallthrough();
  define_globals();
}

// etcdctl's environment serves as well as ours.
CLI::Option* Command::common(CLI::Option* option) {
  std::string name = option->get_lnames().front();
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const bool etcdctls = !std::getenv(("QUORATE_" + name).c_str()) && std::getenv(("ETCDCTL_" + name).c_str());
  return option->group(kCommonGroup)->envname((etcdctls ? "ETCDCTL_" : "QUORATE_") + name);
}

void Command::define_globals() {
  common(app_.add_option("--endpoints", globals_.endpoints, "where the cluster's nodes listen for clients"))
      ->type_name("HOST:PORT[,...]");
  common(app_.add_option("-w,--write-out", globals_.write_out, "simple, json, table or fields"))
      ->type_name("FORMAT")
      ->capture_default_str();
  common(app_.add_flag("--json", globals_.json, "short for --write-out=json"));
  common(app_.add_flag("--hex", globals_.hex, "show keys and values in hexadecimal"));
  define_timeouts();
  define_security();
}

void Command::define_timeouts() {
  const auto duration = [this](const char* name, double& to, const char* help) {
    common(app_.add_option(name, to, help))
        ->capture_default_str()
        ->type_name("TIME")
        ->transform([](const std::string& text) {
          return fmt::format("{}", std::chrono::duration<double>(parse_duration(text)).count());
        });
  };
  duration("--dial-timeout", globals_.dial_timeout, "how long to wait for a connection");
  duration("--command-timeout", globals_.command_timeout, "how long to wait for an answer");
  duration("--keepalive-time", globals_.keepalive_time, "ask a silent server for a sign of life after");
  duration("--keepalive-timeout", globals_.keepalive_timeout, "and give it up after");
}

void Command::define_security() {
  common(app_.add_option("--cacert", globals_.ca, "who signs servers' certificates (PEM)"))
      ->type_name("FILE");
  common(app_.add_option("--cert", globals_.certificate, "own certificate (PEM)"))->type_name("FILE");
  common(app_.add_option("--key", globals_.key, "its key (PEM)"))->type_name("FILE");
  common(app_.add_flag("--insecure-skip-tls-verify", globals_.skip_verify,
                       "take any certificate of a server; for tests"));
  common(app_.add_flag("--insecure-transport", globals_.insecure_transport,
                       "=false: TLS for endpoints that do not say http:// or https://"));
  common(app_.add_option("--user", globals_.user, "on whose behalf"))->type_name("NAME[:PASSWORD]");
  common(app_.add_option("--password", globals_.password, "of --user"))->type_name("TEXT");
}

std::size_t common_in_front(std::span<const std::string> args) {
  Command any("", "", "");
  std::size_t count = 0;
  while (count < args.size() && args[count].starts_with('-')) {
    const std::string& word = args[count];
    const bool is_long = word.starts_with("--");
    const std::string name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
    const CLI::Option* option = any.app().get_option_no_throw(name);
    if (option == nullptr || option->get_group() != kCommonGroup) break;
    const bool value_follows = option->get_items_expected_max() > 0 && word.size() == name.size();
    count += value_follows ? 2 : 1;
  }
  return std::min(count, args.size());
}

CLI::App& Command::sub(const std::string& name, const std::string& summary, Action action) {
  app_.require_subcommand(1);
  CLI::App* sub = app_.add_subcommand(name, summary);
  actions_.emplace_back(sub, std::move(action));
  return *sub;
}

namespace {

std::string advice_on(const std::string& failure) {
  if (!failure.ends_with("Connection refused")) return {};
  return "\nNo node listens there: 'quorate dev' starts a local cluster, --endpoints names the nodes of "
         "another.";
}

}  // namespace

int Command::run(std::vector<std::string> args, Action action) {
  if (described(app_)) return kOk;
  try {
    std::reverse(args.begin(), args.end());  // CLI11 takes them from the back
    app_.parse(args);
    if (format() == Format::simple && globals_.write_out != "simple") {
      throw Failure{kBadFeature, "unknown output format \"" + globals_.write_out +
                                     "\": expecting simple, json, table or fields"};
    }
    for (const auto& [sub, run] : actions_) {
      if (sub->parsed()) action = run;
    }
    const int code = action();
    flush();
    return code;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return app_.exit(error);  // --help
    print_error(fmt::format("{}\nRun '{} --help' for usage.", error.what(), app_.get_name()));
    return kBadArguments;
  } catch (const Failure& failure) {
    std::fflush(stdout);
    if (!failure.text.empty()) print_error(failure.text + advice_on(failure.text));
    return failure.code;
  }
}

Format Command::format() const {
  if (globals_.json || globals_.write_out == "json") return Format::json;
  if (globals_.write_out == "table") return Format::table;
  if (globals_.write_out == "fields") return Format::fields;
  return Format::simple;
}

std::string Command::shown(std::string_view bytes) const {
  return globals_.hex ? hex_bytes(bytes) : std::string(bytes);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    throw Failure{kIo, "cannot write to standard output"};
  }
}

void flush() {
  if (std::fflush(stdout) != 0) throw Failure{kIo, "cannot write to standard output"};
}

void print_error(std::string_view text) {
  const bool colour = isatty(STDERR_FILENO) != 0 && !std::getenv("NO_COLOR");
  std::fprintf(stderr, "%sError:%s %.*s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "",
               static_cast<int>(text.size()), text.data());
}

std::chrono::nanoseconds parse_duration(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const double scale = unit.empty() || unit == "s" ? 1
                       : unit == "ms"              ? 1e-3
                       : unit == "us"              ? 1e-6
                       : unit == "m"               ? 60
                       : unit == "h"               ? 3600
                                                   : 0;
  if (error != std::errc() || scale == 0 || value < 0) {
    throw Failure{kBadArguments, "bad duration \"" + text + "\": expecting a number with us, ms, s, m or h"};
  }
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(value * scale));
}

std::int64_t parse_lease(const std::string& text) {
  return static_cast<std::int64_t>(parse_hex(text, "lease ID"));
}
std::uint64_t parse_member(const std::string& text) { return parse_hex(text, "member ID"); }

void describe_into(Described* sink) { description_sink = sink; }

bool described(const CLI::App& app) {
  if (description_sink != nullptr) *description_sink = describe(app);
  return description_sink != nullptr;
}

std::optional<int> ended_by_words(CLI::App& app, std::vector<std::string> args) {
  if (described(app)) return 0;
  std::ranges::reverse(args);  // CLI11 takes them from the back
  try {
    app.parse(std::move(args));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? server::exit_ok : server::exit_usage;
  }
  return std::nullopt;
}

}  // namespace quorate::cli
