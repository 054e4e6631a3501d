// The verb `quorate sim`.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace quorate::sim {

// Sees the options before the command line is read, and may say how its help looks; false: that was all.
using Dress = std::function<bool(CLI::App&)>;

// `arguments` without the program's name and the verb. Gives the exit status: 0 if every seed passed, 1 if
// one failed, 2 for a wrong command line.
int sim_main(std::vector<std::string> arguments, const Dress& dress = {});

}  // namespace quorate::sim
