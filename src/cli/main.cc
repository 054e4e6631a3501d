// `quorate VERB ...`: finds the verb and hands it the rest.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/server_verbs.h"
#include "cli/verbs.h"

namespace quorate::cli {
namespace {

constexpr ClientVerb server_verbs[] = {
    {"dev", "a local cluster to try things with", &dev},
    {"serve", "one node of a cluster", &serve},
};
constexpr ClientVerb other_verbs[] = {
    {"sim", "run a protocol through simulated faults, and judge it", &sim},
    {"version", "what this program is", &version},
};

void print_usage(std::FILE* out) {
  std::fprintf(
      out,
      "quorate: replicated keyspaces, each a consensus protocol and a data model; etcd's clients "
      "work unchanged\n\n"
      "USAGE\n  quorate VERB [OPTIONS]        quorate VERB --help tells more; its common options may stand\n"
      "                                in front of VERB, too\n"
      "  quorate --name n0 ...         etcd's own flags: the same as quorate serve --name n0 ...\n");
  const auto group = [&](const char* title, const auto& verbs) {
    std::fprintf(out, "\n%s\n", title);
    for (const auto& verb : verbs) std::fprintf(out, "  %-13s %s\n", verb.name, verb.help);
  };
  group("SERVER", server_verbs);
  group("CLIENT", client_verbs());
  group("OTHER", other_verbs);
  std::fprintf(out,
               "\nEXAMPLES\n"
               "  quorate dev                   three nodes on 127.0.0.1:2379, 22379 and 32379\n"
               "  quorate put greeting hello    and quorate get greeting, from another terminal\n"
               "  quorate serve --config q.toml one node, as configured\n");
}

template <class Verbs>
auto find(const Verbs& verbs, const std::string& name) -> int (*)(std::vector<std::string>) {
  for (const auto& verb : verbs) {
    if (name == verb.name) return verb.run;
  }
  return nullptr;
}

int run(std::vector<std::string> args) {
  if (args.empty()) {
    print_usage(stderr);
    return 2;
  }
  // Options in front of a client's verb go behind it.
  const auto verb_at = args.begin() + static_cast<std::ptrdiff_t>(common_in_front(args));
  if (verb_at != args.end() && !verb_at->starts_with('-')) std::rotate(args.begin(), verb_at, verb_at + 1);
  const std::string name = args.front();
  if (name == "--help" || name == "-h" || name == "help") {
    print_usage(stdout);
    return 0;
  }
  if (name == "--version") return version({});
  if (name.size() > 2 && name.front() == '-') return serve(std::move(args));  // etcd's flags
  args.erase(args.begin());
  if (name == "completion") {
    for (const auto& verb : server_verbs) complete_also(verb);
    for (const auto& verb : other_verbs) complete_also(verb);
  }
  auto* verb = find(server_verbs, name);
  if (!verb) verb = find(client_verbs(), name);
  if (!verb) verb = find(other_verbs, name);
  if (!verb) {
    std::fprintf(stderr, "quorate: there is no verb '%s'; quorate --help lists them\n", name.c_str());
    return 2;
  }
  return verb(std::move(args));
}

}  // namespace
}  // namespace quorate::cli

int main(int argc, char** argv) { return quorate::cli::run({argv + 1, argv + argc}); }
