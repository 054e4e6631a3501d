// The verb `quorate sim`.
#pragma once

#include <string>
#include <vector>

namespace quorate::sim {

// `arguments` without the program's name and the verb. Gives the exit status: 0 if every seed passed, 1 if
// one failed, 2 for a wrong command line.
int sim_main(std::vector<std::string> arguments);

}  // namespace quorate::sim
