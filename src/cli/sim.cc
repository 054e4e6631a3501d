// `quorate sim`, with the help page and the completion that all verbs have.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/server_verbs.h"
#include "sim/sim_command.h"

namespace quorate::cli {

int sim(std::vector<std::string> args) {
  return sim::sim_main(std::move(args), [](CLI::App& app) {
    app.formatter(std::make_shared<HelpPage>());
    return !described(app);
  });
}

}  // namespace quorate::cli
