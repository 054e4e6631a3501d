// The verbs of the binary that are clients of a running cluster. Each takes the words behind the verb and
// gives the exit code (cli/command.h).
#pragma once

#include <span>
#include <string>
#include <vector>

namespace quorate::cli {

int get(std::vector<std::string> args);
int put(std::vector<std::string> args);
int del(std::vector<std::string> args);
int txn(std::vector<std::string> args);
int compaction(std::vector<std::string> args);
int watch(std::vector<std::string> args);
int lease(std::vector<std::string> args);
int lock(std::vector<std::string> args);
int elect(std::vector<std::string> args);
int member(std::vector<std::string> args);
int endpoint(std::vector<std::string> args);
int status(std::vector<std::string> args);
int move_leader(std::vector<std::string> args);
int snapshot(std::vector<std::string> args);
int defrag(std::vector<std::string> args);
int alarm(std::vector<std::string> args);
int bench(std::vector<std::string> args);
int completion(std::vector<std::string> args);

struct ClientVerb {
  const char* name;
  const char* help;
  int (*run)(std::vector<std::string>);
};

// All of the above, in the order in which they are listed to the user.
[[nodiscard]] std::span<const ClientVerb> client_verbs();

// Verbs that are not clients (serve, dev…) and shall complete as well; they describe themselves as a Command
// does.
void complete_also(ClientVerb verb);

}  // namespace quorate::cli
