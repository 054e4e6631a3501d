// get, put, del, compaction.
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "cli/kv_options.h"
#include "cli/printers.h"
#include "cli/verbs.h"
#include "client/etcd.h"

namespace quorate::cli {

int get(std::vector<std::string> args) {
  Command command("get", "Read a key or a range of keys.", R"(EXAMPLES
  quorate get greeting                          one key: its name, then its value
  quorate get --prefix users/ --keys-only       the names of all users
  quorate get a m --limit 10                    the first ten keys from a up to, not including, m
  quorate get --prefix "" --count-only -w fields
                                                how many keys there are
  quorate get greeting --rev 17                 as it was at revision 17
  quorate get --prefix jobs/ --sort-by MODIFY --order DESCEND --limit 1
                                                the job changed last

No key found is no error: nothing is printed and the status is 0.)");
  GetOptions options;
  options.define(command.app());
  return command.run(std::move(args), [&] {
    const auto request = options.request();
    if (options.print_value_only && command.format() != Format::simple) {
      throw Failure{kBadArguments, "print-value-only is only for `--write-out=simple`"};
    }
    const Style style{command.format(), command.hex(), options.print_value_only, options.count_only};
    // etcdctl prints nothing for a count in the simple format; a count that was asked for is worth a line.
    print(show(expect(command.connect()->call(client::rpc::range, request)), style));
    return kOk;
  });
}

int put(std::vector<std::string> args) {
  Command command("put", "Store a value under a key.", R"(EXAMPLES
  quorate put greeting hello
  quorate put greeting < letter.txt             the value comes from standard input
  quorate put greeting -- -5                    -- ends the flags: a value may begin with -
  quorate put service/a 10.0.0.1 --lease 694d7a # goes when the lease ends
  quorate put greeting --ignore-value --lease 0 only detach the lease)");
  PutOptions options;
  options.define(command.app());
  return command.run(std::move(args), [&] {
    const auto request = options.request([] {
      return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
    });
    print(
        show(expect(command.connect()->call(client::rpc::put, request)), {command.format(), command.hex()}));
    return kOk;
  });
}

int del(std::vector<std::string> args) {
  Command command("del", "Delete a key or a range of keys; prints how many.", R"(EXAMPLES
  quorate del greeting
  quorate del --prefix users/ --prev-kv         and show what they were
  quorate del a m                               from a up to, not including, m)");
  DelOptions options;
  options.define(command.app());
  return command.run(std::move(args), [&] {
    const auto request = options.request();
    print(show(expect(command.connect()->call(client::rpc::delete_range, request)),
               {command.format(), command.hex()}));
    return kOk;
  });
}

int compaction(std::vector<std::string> args) {
  Command command("compaction", "Forget the history before a revision.", R"(EXAMPLES
  quorate compaction 1000                       reads and watches from before 1000 fail from now on)");
  std::int64_t revision = 0;
  bool physical = false;
  command.app().add_option("revision", revision, "the oldest revision to keep")->required();
  command.app().add_flag("--physical", physical, "wait until the space is free");
  return command.run(std::move(args), [&] {
    pb::CompactionRequest request;
    request.set_revision(revision);
    request.set_physical(physical);
    expect(command.connect()->call(client::rpc::compact, request));
    print(fmt::format("compacted revision {}\n", revision));
    return kOk;
  });
}

}  // namespace quorate::cli
