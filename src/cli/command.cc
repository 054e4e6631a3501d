#include "cli/command.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/text.h"

namespace quorate::cli {
namespace {

constexpr const char* kClusterFile = "data/cluster.json";
constexpr const char* kDefaultEndpoint = "127.0.0.1:2379";

constexpr const char* kCommonNotes = R"(
ENDPOINTS
  --endpoints, else $QUORATE_ENDPOINTS, else $ETCDCTL_ENDPOINTS, else the cluster in
  data/cluster.json (a local one started here), else 127.0.0.1:2379.

EXIT STATUS
  0 done; 1 the cluster refused or was not reached; 3 standard input makes no sense;
  4 a flag's value is not known; 5 interrupted or cancelled; 6 a file or the output
  cannot be written; 128 wrong arguments.)";

Described* description_sink = nullptr;

Described describe(const CLI::App& app) {
  Described out{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
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

std::optional<std::string> endpoints_of_local_cluster() {
  std::ifstream file(kClusterFile);
  if (!file) return std::nullopt;
  std::stringstream text;
  text << file.rdbuf();
  const std::string content = text.str();
  static const std::regex client_field("\"client\"\\s*:\\s*\"([^\"]+)\"");
  std::string found;
  for (std::sregex_iterator it(content.begin(), content.end(), client_field), end; it != end; ++it) {
    found += (found.empty() ? "" : ",") + (*it)[1].str();
  }
  if (found.empty()) return std::nullopt;
  return found;
}

std::string default_endpoints() {
  for (const char* variable : {"QUORATE_ENDPOINTS", "ETCDCTL_ENDPOINTS"}) {
    if (const char* value = std::getenv(variable); value && *value) return value;
  }
  return endpoints_of_local_cluster().value_or(kDefaultEndpoint);
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
  app_.footer("\n" + notes + "\n" + kCommonNotes);
  app_.get_formatter()->column_width(34);
  app_.fallthrough();
  define_globals();
}

void Command::define_globals() {
  const auto seconds = [](const std::string& text) {
    return fmt::format("{}", std::chrono::duration<double>(parse_duration(text)).count());
  };
  const auto common = [](CLI::Option* option) { return option->group("Common options"); };
  common(app_.add_option("--endpoints", globals_.endpoints, "HOST:PORT[,HOST:PORT...] of the cluster"));
  common(app_.add_option("-w,--write-out", globals_.write_out, "simple, json, table or fields"))
      ->capture_default_str();
  common(app_.add_flag("--json", globals_.json, "short for --write-out=json"));
  common(app_.add_flag("--hex", globals_.hex, "show keys and values in hexadecimal"));
  common(app_.add_option("--dial-timeout", globals_.dial_timeout, "how long to wait for a connection"))
      ->capture_default_str()
      ->transform(seconds);
  common(app_.add_option("--command-timeout", globals_.command_timeout, "how long to wait for an answer"))
      ->capture_default_str()
      ->transform(seconds);
}

CLI::App& Command::sub(const std::string& name, const std::string& summary, Action action) {
  app_.require_subcommand(1);
  CLI::App* sub = app_.add_subcommand(name, summary);
  actions_.emplace_back(sub, std::move(action));
  return *sub;
}

int Command::run(std::vector<std::string> args, Action action) {
  if (description_sink) {
    *description_sink = describe(app_);
    return kOk;
  }
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
    if (!failure.text.empty()) print_error(failure.text);
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

std::vector<client::Endpoint> Command::endpoints() const {
  auto parsed =
      client::parse_endpoints(globals_.endpoints.empty() ? default_endpoints() : globals_.endpoints);
  if (!parsed) throw Failure{kBadArguments, parsed.error()};
  return std::move(*parsed);
}

std::unique_ptr<client::Client> Command::connect() const { return connect(endpoints()); }

std::unique_ptr<client::Client> Command::connect(std::vector<client::Endpoint> endpoints) const {
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(s));
  };
  client::Options options;
  options.endpoints = std::move(endpoints);
  options.dial_timeout = seconds(globals_.dial_timeout);
  options.command_timeout = seconds(globals_.command_timeout);
  return std::make_unique<client::Client>(std::move(options));
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

}  // namespace quorate::cli
