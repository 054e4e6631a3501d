#include <memory>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/server_verbs.h"
#include "registry/registry.h"
#include "server/config.h"

#ifndef QUORATE_VERSION
#error "the build defines QUORATE_VERSION"
#endif

namespace quorate::cli {
namespace {

#if defined(__clang__)
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif

std::string names(const char* quote) {
  std::string out;
  for (const auto& protocol : registry::all()) {
    out += fmt::format("{}{}{}{}", out.empty() ? "" : ", ", quote, protocol.name, quote);
  }
  return out;
}

std::string models(const char* quote) {
  std::string out;
  for (const char* model : server::known_models) {
    out += fmt::format("{}{}{}{}", out.empty() ? "" : ", ", quote, model, quote);
  }
  return out;
}

}  // namespace

int version(std::vector<std::string> args) {
  CLI::App app("What this program is: its version, the protocols and data models it has, and what built it.",
               "quorate version");
  app.formatter(std::make_shared<HelpPage>());
  bool json = false;
  app.add_flag("--json", json, "as a JSON object");
  if (const auto ended = ended_by_words(app, std::move(args))) return *ended;
  if (json) {
    fmt::print("{{\"version\":\"{}\",\"protocols\":[{}],\"models\":[{}],\"compiler\":\"{}\"}}\n",
               QUORATE_VERSION, names("\""), models("\""), compiler);
  } else {
    fmt::print("quorate {}\nprotocols: {}\nmodels:    {}\nbuilt by:  {}\n", QUORATE_VERSION, names(""),
               models(""), compiler);
  }
  return 0;
}

}  // namespace quorate::cli
