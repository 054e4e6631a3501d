#include <cstdio>

#include <fmt/format.h>

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
  if (args.empty()) {
    fmt::print("quorate {}\nprotocols: {}\nmodels:    {}\nbuilt by:  {}\n", QUORATE_VERSION, names(""),
               models(""), compiler);
    return 0;
  }
  if (args.size() == 1 && args[0] == "--json") {
    fmt::print("{{\"version\":\"{}\",\"protocols\":[{}],\"models\":[{}],\"compiler\":\"{}\"}}\n",
               QUORATE_VERSION, names("\""), models("\""), compiler);
    return 0;
  }
  const bool help = args[0] == "--help" || args[0] == "-h";
  fmt::print(help ? stdout : stderr,
             "quorate version [--json]\n\nThe version, the protocols and data models this program has, and "
             "what built it.\n");
  return help ? 0 : 2;
}

}  // namespace quorate::cli
