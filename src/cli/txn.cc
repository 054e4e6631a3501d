#include <iostream>

#include "cli/printers.h"
#include "cli/txn_parser.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {

int txn(std::vector<std::string> args) {
  Command command("txn", "Compare, then do one list of operations or the other, atomically.",
                  R"(Reads standard input: conditions, a blank line, the operations if all conditions hold, a
blank line, the operations if not, a blank line.

  mod("KEY") > "0"       the revision of the last change; also create, version, value, lease
  value("KEY") = "TEXT"  operators: = != < >
  get KEY [flags]        the operations and flags of the verbs get, put and del
  put KEY VALUE
  del KEY

EXAMPLES
  printf 'create("seat") = "0"\n\nput seat ada\n\nget seat\n\n' | quorate txn
                                       takes the seat if it is free, else tells who has it
  quorate txn -i                       asks for the three parts)");
  bool interactive = false;
  command.app().add_flag("-i,--interactive", interactive, "ask for each part");
  return command.run(std::move(args), [&] {
    const auto next_line = []() -> std::optional<std::string> {
      std::string line;
      if (!std::getline(std::cin, line)) return std::nullopt;
      return line;
    };
    const auto request = parse_txn(next_line, [&](std::string_view title) {
      if (interactive) print(std::string(title) + "\n");
      if (interactive) flush();
    });
    if (!request) throw Failure{kInvalidInput, request.error()};
    print(
        show(expect(command.connect()->call(client::rpc::txn, *request)), {command.format(), command.hex()}));
    return kOk;
  });
}

}  // namespace quorate::cli
