// Any text as etcd's configuration file (etcd.conf.yml): flags that the command line could have had, or one
// line that says what is wrong.

#include "fuzz.h"
#include "server/etcd_yaml.h"

QUORATE_FUZZ(yaml) {
  using quorate::fuzz::require;
  const auto known = [](const std::string& flag) {
    require(flag.starts_with("--"), "a flag without dashes");
    return flag.find('=') == std::string::npos && flag.size() % 7 != 0;
  };
  const auto flags = quorate::server::flags_of_yaml(std::string(input), "etcd.yml", known);
  if (!flags) {
    require(flags.error().starts_with("etcd.yml:"),
            "a refusal that does not name its file: " + flags.error());
    require(flags.error().find('\n') == std::string::npos, "a refusal of several lines: " + flags.error());
    return;
  }
  for (const auto& flag : *flags) {
    const auto equals = flag.find('=');
    require(flag.starts_with("--") && equals != std::string::npos, "not a flag: " + flag);
    require(known(flag.substr(0, equals)), "a flag that is not known: " + flag);
  }
}
