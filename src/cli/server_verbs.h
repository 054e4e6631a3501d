// The verbs of the binary that run or describe a server. Each takes the words behind the verb and gives the
// exit code.
#pragma once

#include <string>
#include <vector>

namespace quorate::cli {

int serve(std::vector<std::string> args);
int dev(std::vector<std::string> args);
int sim(std::vector<std::string> args);
int version(std::vector<std::string> args);

}  // namespace quorate::cli
