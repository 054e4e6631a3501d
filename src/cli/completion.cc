// Completion scripts, generated from the very definitions that parse the command lines.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/verbs.h"

namespace quorate::cli {
namespace {

std::vector<Described>& also() {
  static std::vector<Described> verbs;
  return verbs;
}

Described describe(const ClientVerb& verb) {
  Described described;
  describe_into(&described);
  verb.run({});
  describe_into(nullptr);
  return described;
}

std::vector<Described> describe_all() {
  std::vector<Described> verbs;
  for (const auto& verb : client_verbs()) {
    Described described;
    if (verb.run != &completion) {
      described = describe(verb);
    } else {
      described.subcommands = {{"bash", "", {}, {}}, {"zsh", "", {}, {}}, {"fish", "", {}, {}}};
    }
    described.name = verb.name;
    described.summary = verb.help;
    verbs.push_back(std::move(described));
  }
  verbs.insert(verbs.end(), also().begin(), also().end());
  return verbs;
}

std::string names(const std::vector<Described>& list) {
  std::string out;
  for (const auto& one : list) out += (out.empty() ? "" : " ") + one.name;
  return out;
}

// The flags of a verb and of its subcommand, each once.
std::string flags(const Described& verb, const Described* sub = nullptr) {
  std::vector<std::string> all;
  for (const Described* from : {sub, &verb}) {
    if (!from) continue;
    for (const auto& [name, help] : from->options) {
      if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
    }
  }
  return fmt::format("{}", fmt::join(all, " "));
}

// Words possible behind a verb, and behind a verb's subcommand.
std::string bash_cases(const std::vector<Described>& verbs) {
  std::string out;
  for (const auto& verb : verbs) {
    for (const auto& sub : verb.subcommands) {
      out += fmt::format("    \"{} {}\") words=\"{}\" ;;\n", verb.name, sub.name, flags(verb, &sub));
    }
    out += fmt::format("    \"{} \"*) words=\"{} {}\" ;;\n", verb.name, names(verb.subcommands), flags(verb));
  }
  return out;
}

std::string bash_function(const std::vector<Described>& verbs) {
  return fmt::format(R"(_quorate() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" words=""
  local verb="${{COMP_WORDS[1]}}" sub="${{COMP_WORDS[2]}}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{0}"
  else
    [ "$COMP_CWORD" -eq 2 ] && sub=""
    case "$verb $sub" in
{1}    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _quorate quorate
)",
                     names(verbs), bash_cases(verbs));
}

std::string fish_quoted(std::string text) {
  for (std::size_t at = 0; (at = text.find_first_of("'\\", at)) != std::string::npos; at += 2)
    text.insert(at, 1, '\\');
  return "'" + text + "'";
}

void fish_options(std::string& out, const std::string& condition, const Described& verb) {
  for (const auto& [name, help] : verb.options) {
    const bool is_long = name.starts_with("--");
    out += fmt::format("complete -c quorate -n {} {} {} -d {}\n", fish_quoted(condition),
                       is_long ? "-l" : "-s", name.substr(is_long ? 2 : 1), fish_quoted(help));
  }
}

std::string fish_script(const std::vector<Described>& verbs) {
  std::string out;
  for (const auto& verb : verbs) {
    out += fmt::format("complete -c quorate -n __fish_use_subcommand -f -a {} -d {}\n", verb.name,
                       fish_quoted(verb.summary));
    const std::string seen = "__fish_seen_subcommand_from " + verb.name;
    for (const auto& sub : verb.subcommands) {
      out += fmt::format("complete -c quorate -n {} -f -a {} -d {}\n", fish_quoted(seen), sub.name,
                         fish_quoted(sub.summary));
      fish_options(out, seen + "; and __fish_seen_subcommand_from " + sub.name, sub);
    }
    fish_options(out, seen, verb);
  }
  return out;
}

}  // namespace

void complete_also(ClientVerb verb) {
  Described described = describe(verb);
  described.name = verb.name;
  described.summary = verb.help;
  also().push_back(std::move(described));
}

int completion(std::vector<std::string> args) {
  const std::vector<Described> verbs = describe_all();
  Command command("completion", "Print a completion script for a shell.", R"(EXAMPLES
  source <(quorate completion bash)                              this shell
  quorate completion bash > /etc/bash_completion.d/quorate       every shell
  quorate completion zsh > "${fpath[1]}/_quorate"
  quorate completion fish > ~/.config/fish/completions/quorate.fish)");
  command.sub("bash", "For bash.", [&] {
    print(bash_function(verbs));
    return kOk;
  });
  command.sub("zsh", "For zsh.", [&] {
    print("#compdef quorate\nautoload -U +X bashcompinit && bashcompinit\n" + bash_function(verbs));
    return kOk;
  });
  command.sub("fish", "For fish.", [&] {
    print(fish_script(verbs));
    return kOk;
  });
  return command.run(std::move(args));
}

}  // namespace quorate::cli
